import type { FaultKind } from "../script.ts";

/** What a person asked for, read from one line. */
export type Command =
  | { readonly type: "status" | "help" | "quit" | "nothing" }
  /** Sets a tier's fault, or ends it if there is none. */
  | { readonly type: "fault"; readonly tier: string; readonly fault: AskedFault | undefined }
  /** Milliseconds to a tier's first part and between two. */
  | { readonly type: "slow"; readonly tier: string; readonly delays: Delays }
  /** A line that is no command; `message` says what it lacks. */
  | { readonly type: "unclear"; readonly message: string };

/** A fault, and after how many parts it comes. */
type AskedFault = { readonly kind: FaultKind; readonly afterParts: number };

/** How long a tier takes, in milliseconds. */
type Delays = { readonly firstPartMs: number; readonly partMs?: number };

/** The tiers that can be played with, each with the faults that it can have. */
export type TierFaults = ReadonlyMap<string, readonly FaultKind[]>;

const help = "`help` shows what there is.";

/** Reads a line. Case and spaces do not matter. Never throws. */
export function parseCommand(line: string, tiers: TierFaults): Command {
  const [word = "", ...rest] = line.trim().toLowerCase().split(/\s+/);
  if (word === "") return { type: "nothing" };
  if (word === "status" || word === "help" || word === "quit") return { type: word };
  if (word === "slow") return parseSlow(rest, tiers);
  const kinds = tiers.get(word);
  return kinds ? parseFault(word, kinds, rest) : unclear(`There is no command "${word}". ${help}`);
}

function parseFault(tier: string, kinds: readonly FaultKind[], rest: readonly string[]): Command {
  const [word, after = "0", ...more] = rest;
  if (word === "ok" && rest.length === 1) return { type: "fault", tier, fault: undefined };
  const kind = kinds.find((each) => each === word);
  if (!kind) {
    const choice = ["ok", ...kinds].join(", ");
    return unclear(
      word === undefined
        ? `What is ${tier} to do? ${choice}.`
        : `"${word}" is nothing that ${tier} can do: ${choice}.`,
    );
  }
  const afterParts = readCount(after);
  if (afterParts === undefined || more.length > 0) {
    return unclear(`Behind "${tier} ${kind}" stands at most a number of parts: ${tier} ${kind} 3`);
  }
  return { type: "fault", tier, fault: { kind, afterParts } };
}

function parseSlow(rest: readonly string[], tiers: TierFaults): Command {
  const [tier = "", ...times] = rest;
  if (!tiers.has(tier)) {
    return unclear(`"slow" wants a tier first: ${[...tiers.keys()].join(", ")}.`);
  }
  const [firstPartMs, partMs] = times.map(readCount);
  const isRead = times.every((time) => readCount(time) !== undefined) && times.length <= 2;
  if (!isRead || firstPartMs === undefined) {
    return unclear(
      `"slow ${tier}" wants milliseconds to the first part, and perhaps between two: slow ${tier} 400 50`,
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
