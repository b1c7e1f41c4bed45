import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How another client's turn went while something hostile was under way. */
export type Song = {
  /** The text and the sound, read back. Both must be the prompt. */
  readonly text: string;
  readonly spelled: string;
  /** The longest time between two chunks of sound, in milliseconds. */
  readonly maxGapMs: number;
  /** The longest that `/health` took to answer beside it. */
  readonly healthMs: number;
};

/** What a canary's process tells. */
export type CanaryMessage =
  | { readonly type: "singing" }
  | { readonly type: "song"; readonly song: Song }
  | { readonly type: "failed"; readonly reason: string };

/** Another client, in a process of its own. */
export type Canary = {
  /** Begins a turn. Resolves when its first sound is there; `song` when it is over. */
  sing(prompt: string): Promise<{ readonly song: Promise<Song> }>;
  close(): void;
};

/** Starts a canary that talks to a gateway. */
export function startCanary(at: { readonly grpcPort: number; readonly httpPort: number }): Canary {
  const path = fileURLToPath(new URL("canary-main.ts", import.meta.url));
  const child = fork(path, [String(at.grpcPort), String(at.httpPort)]);
  const next = async () => {
    const [message] = await once(child, "message", { signal: AbortSignal.timeout(25_000) });
    const told = message as CanaryMessage;
    if (told.type === "failed") throw new Error(`the canary's turn failed: ${told.reason}`);
    return told;
  };
  return {
    async sing(prompt) {
      const begun = next();
      child.send(prompt);
      await begun;
      const song = next().then((told) => {
        if (told.type !== "song") throw new Error("the canary sang out of turn");
        return told.song;
      });
      // Looked at later: the attack comes first.
      song.catch(() => undefined);
      return { song };
    },
    close: () => child.kill(),
  };
}
