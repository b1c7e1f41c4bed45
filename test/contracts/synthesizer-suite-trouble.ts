import { expect, it } from "vitest";
import type { FaultKind } from "../../emulators/script.ts";
import { itUnless } from "../support/it-unless.ts";
import { begin, expectCancelled, readOn, untilPromptly, untilStill } from "./suite-calls.ts";
import { expectFault, type FailingKind, failingKinds, outcomeOf } from "./suite-faults.ts";
import { expectSound, type PlayedVoice, sentence } from "./synthesizer-suite-calls.ts";

/** What differs in the faults of one voice from another's. */
type FaultOptions = {
  readonly provider: () => string;
  readonly secrets?: readonly string[];
  readonly without?: readonly FaultKind[];
  readonly withoutRetryAfter?: true;
};

/** Every fault that the emulator can play. */
export function describeFaults(suite: PlayedVoice, options: FaultOptions): void {
  const { play, speak, idle, active } = suite;
  const { provider, secrets = [], without = [], withoutRetryAfter } = options;
  const kinds = failingKinds.filter((kind) => !without.includes(kind));
  const expectFaultOf = (error: unknown, kind: FailingKind) =>
    expectFault(error, { provider: provider(), kind, secrets: [...secrets, sentence] });

  it.each(kinds)("says what is wrong: %s", async (kind) => {
    play({ fault: { kind, retryAfterSeconds: 7 } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts).toEqual([]);
    const fault = expectFaultOf(error, kind);
    if (kind === "rate-limit" && !withoutRetryAfter) expect(fault.retryAfterMs).toBe(7_000);
  });

  itUnless(without.includes("cut"))("yields what came before a cut", async () => {
    play({ partMs: 5, fault: { kind: "cut", afterParts: 2 } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts.length).toBeGreaterThan(0);
    expectFaultOf(error, "cut");
  });

  it("ends at once while it waits for the first part", async () => {
    play({ fault: { kind: "hang" } });
    const call = begin((signal) => speak(sentence, signal));
    const pending = call.next();
    pending.catch(() => undefined);
    await untilPromptly(() => active() > 0);
    await expectCancelled(call, pending);
    await idle();
  });

  it("ends at once while it waits for the next part", async () => {
    play({ fault: { kind: "hang", afterParts: 2 } });
    const call = begin((signal) => speak(sentence, signal));
    let parts = 0;
    const pending = readOn(call, () => {
      parts += 1;
    });
    pending.catch(() => undefined);
    await untilStill(() => parts);
    await expectCancelled(call, pending);
    await idle();
  });

  itUnless(without.includes("drip"))("reads what comes byte by byte", async () => {
    play({ fault: { kind: "drip" } });
    expectSound(await Array.fromAsync(speak("Yes.")), "Yes.");
  });

  itUnless(without.includes("empty"))("makes up no sound for an empty answer", async () => {
    play({ fault: { kind: "empty" } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts).toEqual([]);
    expect(error).toBeUndefined();
  });

  itUnless(without.includes("wrong-rate"))("states another rate", async () => {
    play({ fault: { kind: "wrong-rate" } });
    expectSound(await Array.fromAsync(speak(sentence)), sentence);
  });

  it("speaks again after every fault", { timeout: 30_000 }, async () => {
    for (const kind of kinds) {
      play({ fault: { kind } });
      await outcomeOf(speak(sentence));
      await idle();
      play({});
      expectSound(await Array.fromAsync(speak(sentence)), sentence);
    }
  });
}
