import { expect, it } from "vitest";
import type { EmulatorScript, FaultKind } from "../../emulators/script.ts";
import type { ReplyPart } from "../../server/models/language-model.ts";
import { itUnless } from "../support/it-unless.ts";
import { begin, type Call, expectCancelled, readOn, untilPromptly } from "./suite-calls.ts";
import { expectError, type FailingKind, failingKinds, outcomeOf } from "./suite-faults.ts";

/** A language model under test. */
export type PlayedLanguageModel = {
  play(script: EmulatorScript): void;
  /** Sends a prompt. The script determines the reply. */
  readonly ask: Call<ReplyPart>;
  /** Requests in progress at the provider. */
  active(): number;
  /** Waits until none is in progress. */
  idle(): Promise<number>;
};

/** The prompt. No error may repeat it. */
export const secretWords = "Tell me the hidden thing";

/** A reply. Its first word does not occur in errors. */
export const deltas = ["Quietly", ", the", " answer\n", "is ", "42."];

/** A reply in many scripts, split as models do: never inside a character. */
export const unicode = [
  "👩‍👩‍👧 ",
  "日本",
  "語。",
  "e\u0301",
  " שלום ",
  "نعم",
  " Привет",
  " a\u200db ",
  "𝒳",
];

/** The text of a reply. */
export function wordsOf(parts: readonly ReplyPart[]): string {
  return parts.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}

/** A signal that does not fire. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Cancels at moments that need a script. */
export function describeWaits({ play, ask, idle, active }: PlayedLanguageModel): void {
  it("ends at once while it waits for the first part", async () => {
    play({ fault: { kind: "hang" } });
    const call = begin(ask);
    const pending = call.next();
    pending.catch(() => undefined);
    await untilPromptly(() => active() === 1);
    await expectCancelled(call, pending);
    await idle();
  });

  it("ends at once while it waits for the next part", async () => {
    play({ deltas, fault: { kind: "hang", afterParts: 2 } });
    const call = begin(ask);
    let words = "";
    const pending = readOn(call, (part) => {
      words += wordsOf([part]);
    });
    pending.catch(() => undefined);
    await untilPromptly(() => words === deltas.slice(0, 2).join(""));
    await expectCancelled(call, pending);
    await idle();
  });
}

/** Options of the fault tests. */
type FaultOptions = {
  readonly provider: () => string;
  readonly secrets?: readonly string[];
  readonly without?: readonly FaultKind[];
  readonly withoutRetryAfter?: true;
  readonly emptyIsError?: true;
};

/** Tests every fault that the emulator can play. */
export function describeFaults(
  { play, ask, idle }: PlayedLanguageModel,
  options: FaultOptions,
): void {
  const { provider, secrets = [], without = [], withoutRetryAfter } = options;
  const kinds = failingKinds.filter((kind) => !without.includes(kind));
  const expectErrorOf = (error: unknown, kind: FailingKind) =>
    expectError(error, {
      provider: provider(),
      kind,
      secrets: [...secrets, secretWords, "Quietly"],
    });

  it.each(kinds)("reports the kind of the error: %s", async (kind) => {
    play({ deltas, fault: { kind, retryAfterSeconds: 7 } });
    const { parts, error } = await outcomeOf(ask(never()));
    expect(parts).toEqual([]);
    const fault = expectErrorOf(error, kind);
    if (kind === "rate-limit" && !withoutRetryAfter) expect(fault.retryAfterMs).toBe(7_000);
  });

  it.each(kinds.filter((kind) => kind === "cut" || kind === "malformed"))(
    "yields what came before the fault: %s",
    async (kind) => {
      play({ deltas, partMs: 5, fault: { kind, afterParts: 2 } });
      const { parts, error } = await outcomeOf(ask(never()));
      // Data in transit when the connection broke may be lost, but nothing before it.
      expect(wordsOf(parts)).not.toBe("");
      expect(deltas.slice(0, 2).join("").startsWith(wordsOf(parts))).toBe(true);
      expectErrorOf(error, kind);
    },
  );

  itUnless(without.includes("drip"))("reads a response that arrives byte by byte", async () => {
    play({ deltas: unicode, fault: { kind: "drip" } });
    expect(wordsOf(await Array.fromAsync(ask(never())))).toBe(unicode.join(""));
  });

  itUnless(without.includes("empty"))("yields no words for an empty response", async () => {
    play({ fault: { kind: "empty" } });
    const { parts, error } = await outcomeOf(ask(never()));
    expect(wordsOf(parts)).toBe("");
    if (options.emptyIsError)
      expect(error).toMatchObject({ name: "ProviderError", kind: "protocol" });
    else expect(error).toBeUndefined();
  });

  it("works again after every fault", async () => {
    for (const kind of kinds) {
      play({ fault: { kind } });
      await outcomeOf(ask(never()));
      await idle();
      play({ deltas });
      expect(wordsOf(await Array.fromAsync(ask(never())))).toBe(deltas.join(""));
    }
  });
}
