import type { FaultKind } from "../script.ts";

/** A parsed line. */
export type Command =
  | { readonly type: "status" | "help" | "quit" | "nothing" }
  /** Sets a tier's fault, or clears it if undefined. */
  | { readonly type: "fault"; readonly tier: string; readonly fault: AskedFault | undefined }
  /** Sets a tier's delays. */
  | { readonly type: "slow"; readonly tier: string; readonly delays: Delays }
  /** An invalid line; `message` says why. */
  | { readonly type: "unclear"; readonly message: string };

/** A fault, and the number of parts before it. */
type AskedFault = { readonly kind: FaultKind; readonly afterParts: number };

/** Milliseconds before the first part, and between two. */
type Delays = { readonly firstPartMs: number; readonly partMs?: number };

/** The tiers, each with the faults that it can play. */
export type TierFaults = ReadonlyMap<string, readonly FaultKind[]>;

const help = "Type `help` for the commands.";

/** Parses a line. Ignores case and extra spaces. Never throws. */
export function parseCommand(line: string, tiers: TierFaults): Command {
  const [word = "", ...rest] = line.trim().toLowerCase().split(/\s+/);
  if (word === "") return { type: "nothing" };
  if (word === "status" || word === "help" || word === "quit") return { type: word };
  if (word === "slow") return parseSlow(rest, tiers);
  const kinds = tiers.get(word);
  return kinds ? parseFault(word, kinds, rest) : unclear(`Unknown command "${word}". ${help}`);
}

function parseFault(tier: string, kinds: readonly FaultKind[], rest: readonly string[]): Command {
  const [word, after = "0", ...more] = rest;
  if (word === "ok" && rest.length === 1) return { type: "fault", tier, fault: undefined };
  const kind = kinds.find((each) => each === word);
  if (!kind) {
    const choice = ["ok", ...kinds].join(", ");
    return unclear(
      word === undefined
        ? `Missing fault for ${tier}: ${choice}.`
        : `Unknown fault "${word}" for ${tier}: ${choice}.`,
    );
  }
  const afterParts = readCount(after);
  if (afterParts === undefined || more.length > 0) {
    return unclear(`"${tier} ${kind}" takes at most a number of parts: ${tier} ${kind} 3`);
  }
  return { type: "fault", tier, fault: { kind, afterParts } };
}

function parseSlow(rest: readonly string[], tiers: TierFaults): Command {
  const [tier = "", ...times] = rest;
  if (!tiers.has(tier)) {
    return unclear(`"slow" needs a tier: ${[...tiers.keys()].join(", ")}.`);
  }
  const [firstPartMs, partMs] = times.map(readCount);
  const isRead = times.every((time) => readCount(time) !== undefined) && times.length <= 2;
  if (!isRead || firstPartMs === undefined) {
    return unclear(
      `"slow ${tier}" needs milliseconds before the first part, and optionally between two: slow ${tier} 400 50`,
    );
  }
  return {
    type: "slow",
    tier,
    delays: { firstPartMs, ...(partMs !== undefined && { partMs }) },
  };
}

function readCount(word: string): number | undefined {
  return /^\d{1,6}$/.test(word) ? Number(word) : undefined;
}

function unclear(message: string): Command {
  return { type: "unclear", message };
}
