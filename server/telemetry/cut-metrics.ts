import { Counter, Histogram, type Registry } from "prom-client";
import type { CancelReason } from "../core/async.ts";

/** Counts what turns lose. */
export type CutMetrics = {
  /**
   * A turn was cut short. `wasSent`: it was sent in full and still played. Else it took `silentMs` until
   * nothing more left.
   */
  onCut(
    reason: CancelReason,
    cut: { readonly wasSent: true } | { readonly silentMs: number },
  ): void;
  /** Sound was made that nobody hears. */
  onUnheard(seconds: number): void;
};

/** Measures gaps. */
export type GapMetric = {
  /** A client waited so long between what it had read and what follows. Costs some nanoseconds. */
  onGap(ms: number): void;
};

/** Seconds from a cut to silence. */
const SILENCE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10];

/** What turns lose: cuts, silence after them, and sound in vain. */
export function createCutMetrics(registry: Registry): CutMetrics {
  const registers = [registry];
  const cuts = new Counter({
    name: "parley_interrupts_total",
    help: "Turns cut short, by reason: interrupted, disconnected, deadline, shutdown, revoked; sent: it was sent in full and still played.",
    labelNames: ["reason", "sent"],
    registers,
  });
  const silence = new Histogram({
    name: "parley_time_to_silence_seconds",
    help: "Time from a cut until nothing more leaves of the turn, by reason.",
    labelNames: ["reason"],
    buckets: SILENCE_SECONDS,
    registers,
  });
  const unheard = new Counter({
    name: "parley_audio_unheard_seconds_total",
    help: "Sound that was made and never heard: cut, dropped at a failover, or made ahead in vain.",
    registers,
  });
  return {
    onCut(reason, cut) {
      cuts.inc({ reason, sent: String("wasSent" in cut) });
      if ("silentMs" in cut) silence.observe({ reason }, cut.silentMs / 1000);
    },
    onUnheard: (seconds) => unheard.inc(seconds),
  };
}

/** Upper bounds of the buckets of gaps, in milliseconds. */
const GAP_MS = [1, 5, 10, 20, 40, 60, 100, 200, 500, 1000, 5000];

/** Gaps between chunks: a histogram without labels that is counted in an array: it stands on the way of each chunk. */
export function createGapMetric(registry: Registry): GapMetric {
  const name = "parley_chunk_gap_seconds";
  const counts = new Float64Array(GAP_MS.length + 1);
  let sumMs = 0;
  const help =
    "How long a client waited for more of a turn that had begun to sound, after it had read what there was.";
  const get = async () => {
    let count = 0;
    const buckets = [...counts].map((each, at) => {
      count += each;
      const le = at < GAP_MS.length ? (GAP_MS[at] ?? 0) / 1000 : "+Inf";
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    const values = [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: sumMs / 1000 },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type: "histogram", values };
  };
  // The registry asks a metric for nothing else.
  registry.registerMetric({ name, help, type: "histogram", get } as unknown as Histogram);
  return {
    onGap(ms) {
      let at = 0;
      while (at < GAP_MS.length && ms > (GAP_MS[at] as number)) at += 1;
      counts[at] = (counts[at] as number) + 1;
      sumMs += ms;
    },
  };
}
