import { fork } from "node:child_process";
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

/** What a canary's process is told, and what it tells of that turn. */
export type CanaryRequest = { readonly id: number; readonly prompt: string };
export type CanaryMessage = { readonly id: number } & (
  | { readonly type: "singing" }
  | { readonly type: "song"; readonly song: Song }
  | { readonly type: "failed"; readonly reason: string }
);

/** Another client, in a process of its own. */
export type Canary = {
  /** Begins a turn. Resolves when its first sound is there; `song` when it is over. */
  sing(prompt: string): Promise<{ readonly song: Promise<Song> }>;
  close(): void;
};

type Turn = {
  readonly begun: PromiseWithResolvers<void>;
  readonly song: PromiseWithResolvers<Song>;
};

/** Starts a canary that talks to a gateway. */
export function startCanary(at: { readonly grpcPort: number; readonly httpPort: number }): Canary {
  const path = fileURLToPath(new URL("canary-main.ts", import.meta.url));
  const child = fork(path, [String(at.grpcPort), String(at.httpPort)]);
  const turns = new Map<number, Turn>();
  child.on("message", (message: CanaryMessage) => {
    const turn = turns.get(message.id);
    if (message.type === "singing") return turn?.begun.resolve();
    turns.delete(message.id);
    if (message.type === "song") return turn?.song.resolve(message.song);
    const error = new Error(`the canary's turn failed: ${message.reason}`);
    turn?.begun.reject(error);
    turn?.song.reject(error);
  });
  let id = 0;
  return {
    async sing(prompt) {
      id += 1;
      const turn = { begun: Promise.withResolvers<void>(), song: Promise.withResolvers<Song>() };
      turns.set(id, turn);
      // Looked at later: the attack comes first.
      turn.song.promise.catch(() => undefined);
      child.send({ id, prompt } satisfies CanaryRequest);
      await turn.begun.promise;
      return { song: turn.song.promise };
    },
    close: () => child.kill(),
  };
}
