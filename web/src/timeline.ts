import type { ReplyEvent, ReplySource } from "./gateway.ts";

/** Something of a turn worth a row. Times are milliseconds from the sending. */
export type Moment = {
  readonly kind: "words" | "sound" | "handover" | "gap" | "end" | "failure";
  readonly atMs: number;
  /** How long it took: of a gap. */
  readonly forMs?: number;
  readonly source?: ReplySource;
  readonly note?: string;
};

/** What happened in a turn and when: for the waterfall, and as raw events to be copied. */
export class Timeline {
  readonly #startMs: number;
  readonly #moments: Moment[] = [];
  readonly #raw: string[] = [];
  #gapAtMs: number | undefined;
  #soundMs: number | undefined;

  /** `startMs` is when it was sent, by the page's clock. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** The rows, in the order of time. */
  get moments(): readonly Moment[] {
    return this.#moments.toSorted((a, b) => a.atMs - b.atMs);
  }

  /** When the first sound was heard. */
  get soundMs(): number | undefined {
    return this.#soundMs;
  }

  /** The wire's events, one JSON object a line; sound by its length. */
  get raw(): string {
    return this.#raw.join("\n");
  }

  /** Notes an event of the wire. */
  take(event: ReplyEvent): void {
    const atMs = this.#nowMs();
    this.#write(atMs, told(event));
    if (event.type === "text" && !this.#has("words")) this.#moments.push({ kind: "words", atMs });
    if (event.type === "source" && event.from) {
      this.#moments.push({ kind: "handover", atMs, source: event });
    }
  }

  /** The first sound was heard at this time of the page's clock. */
  heardAt(pageMs: number): void {
    if (this.#soundMs !== undefined) return;
    this.#soundMs = pageMs - this.#startMs;
    this.#moments.push({ kind: "sound", atMs: this.#soundMs });
    this.#write(this.#soundMs, { type: "heard" });
  }

  /** The voice ran dry, or goes on. */
  buffering(is: boolean): void {
    const atMs = this.#nowMs();
    if (is) this.#gapAtMs ??= atMs;
    if (is || this.#gapAtMs === undefined) return;
    const gap = { atMs: this.#gapAtMs, forMs: atMs - this.#gapAtMs };
    this.#gapAtMs = undefined;
    this.#moments.push({ kind: "gap", ...gap });
    this.#write(gap.atMs, { type: "gap", forMs: rounded(gap.forMs) });
  }

  /** All was received: whole, or with this failure. */
  end(failure?: string): void {
    if (this.#has("end") || this.#has("failure")) return;
    const atMs = this.#nowMs();
    this.#moments.push(
      failure === undefined ? { kind: "end", atMs } : { kind: "failure", atMs, note: failure },
    );
    if (failure !== undefined) this.#write(atMs, { type: "failure", message: failure });
  }

  #has(kind: Moment["kind"]): boolean {
    return this.#moments.some((moment) => moment.kind === kind);
  }

  #nowMs(): number {
    return performance.now() - this.#startMs;
  }

  #write(atMs: number, event: object): void {
    this.#raw.push(JSON.stringify({ atMs: rounded(atMs), ...event }));
  }
}

function told(event: ReplyEvent): object {
  if (event.type !== "audio") return event;
  const { pcm, words } = event;
  return { type: "audio", samples: pcm.length, ...(words.length > 0 && { words }) };
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
