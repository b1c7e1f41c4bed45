/** What PCM needs, and some room: 48,000 samples of 16 bit are 768 kbit/s. */
const enoughKbits = 1000;
/** Less sound than this says nothing about the line: it fits into what lies on the way. */
const tellingBytes = 96_000;

/** What a turn tells of the line. Times are milliseconds from its start. */
export type Received = {
  readonly ttfaMs: number | undefined;
  /** What came while nothing was held back. */
  readonly unheld: { readonly bytes: number; readonly lastMs: number };
};

/** Whether the line between the gateway and this page is slower than 1 Mbit/s. */
export class LineSpeed {
  #isSlow: boolean;

  /** `estimateMbits` is the browser's own estimate, where it has one. */
  constructor(estimateMbits?: number) {
    this.#isSlow = estimateMbits !== undefined && estimateMbits * 1000 < enoughKbits;
  }

  /** True if PCM would run dry. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** Learns from a turn whose sound was PCM. A gateway that makes its sound slowly looks the same. */
  note({ ttfaMs, unheld: { bytes, lastMs } }: Received): void {
    if (ttfaMs === undefined || bytes < tellingBytes) return;
    this.#isSlow = (bytes * 8) / Math.max(1, lastMs - ttfaMs) < enoughKbits;
  }
}

/** The browser's estimate in Mbit/s; most browsers have none. */
export function estimatedMbits(): number | undefined {
  const { connection } = navigator as { connection?: { downlink?: number } };
  return connection?.downlink;
}
