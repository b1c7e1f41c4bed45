import type { Random } from "./random.ts";
import { makeReply, type Reply } from "./texts.ts";

/** How a tier ends a call: by an error, by silence, or too early but properly. */
type FaultKind = "connectivity" | "server" | "rate_limit" | "protocol" | "hang" | "cut";

/** A fault after a share of what the call would have made: 0 is before its first part. */
export type Fault = { readonly kind: FaultKind; readonly after: number };

/** How a voice reports its words: as they come, never (told or not), late, or out of order. */
type Timings = "honest" | "absent" | "missing" | "late" | "shuffled";

/** A language tier. A tier without a fault ends the reply. */
export type ModelPlan = { readonly fault: Fault | undefined; readonly deltaLength: number };

/** A speech tier. `faults` are those of its calls, one after the other; the rest succeed. */
export type VoicePlan = {
  readonly timings: Timings;
  readonly pace: number;
  readonly faults: readonly (Fault | undefined)[];
};

/** One fuzzed turn. */
export type Plan = {
  readonly seed: number;
  readonly reply: Reply;
  readonly models: readonly ModelPlan[];
  readonly voices: readonly VoicePlan[];
  /** Milliseconds that the client waits between two messages. */
  readonly readerMs: number;
  /** The client leaves, or interrupts, after this many messages. */
  readonly bargeIn: { readonly how: "cancel" | "interrupt"; readonly after: number } | undefined;
};

const kinds: readonly [FaultKind, ...FaultKind[]] = [
  "connectivity",
  "server",
  "rate_limit",
  "protocol",
];
const timings: readonly [Timings, ...Timings[]] = [
  "honest",
  "honest",
  "absent",
  "missing",
  "late",
  "shuffled",
];

/** Makes the turn of a seed. */
export function makePlan(random: Random, seed: number): Plan {
  const reply = makeReply(random);
  const count = random.between(2, 4);
  return {
    seed,
    reply,
    models: Array.from({ length: count }, (_, at) => ({
      fault: at === count - 1 && random.chance(90) ? undefined : makeFault(random, false),
      deltaLength: random.pick([1, 3, 7, 30]),
    })),
    voices: makeVoices(random, random.between(2, 4)),
    readerMs: random.chance(10) ? random.between(1, 15) : 0,
    bargeIn: random.chance(12)
      ? { how: random.pick(["cancel", "interrupt"]), after: random.between(1, 12) }
      : undefined,
  };
}

function makeVoices(random: Random, count: number): readonly VoicePlan[] {
  return Array.from({ length: count }, (_, at) => {
    const kind = random.pick(timings);
    const isGood = at === count - 1 && random.chance(90);
    // How far a voice without timings got can only be estimated: it must not end early unnoticed.
    const mayCut = kind === "honest";
    return {
      timings: kind,
      pace: random.between(90, 110) / 100,
      faults: isGood
        ? []
        : Array.from({ length: random.between(1, 4) }, () =>
            random.chance(70) ? makeFault(random, mayCut) : undefined,
          ),
    };
  });
}

function makeFault(random: Random, mayCut: boolean): Fault {
  const after = random.chance(20) ? 0 : random.between(1, 99) / 100;
  if (random.chance(4)) return { kind: "hang", after };
  if (mayCut && after > 0 && random.chance(20)) return { kind: "cut", after };
  return { kind: random.pick(kinds), after };
}
