import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How another client's turn went while something hostile was under way. */
export type CanaryTurn = {
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
  | { readonly type: "speaking" }
  | { readonly type: "over"; readonly turn: CanaryTurn }
  | { readonly type: "failed"; readonly reason: string }
);

/** Another client, in a process of its own. */
export type Canary = {
  /** Begins a turn. Resolves when its first sound is there; `over` when all of it is. */
  speak(prompt: string): Promise<{ readonly over: Promise<CanaryTurn> }>;
  close(): void;
};

type Turn = {
  readonly begun: PromiseWithResolvers<void>;
  readonly over: PromiseWithResolvers<CanaryTurn>;
};

/** Starts a canary that talks to a gateway. */
export function startCanary(at: { readonly grpcPort: number; readonly httpPort: number }): Canary {
  const path = fileURLToPath(new URL("canary-main.ts", import.meta.url));
  const child = fork(path, [String(at.grpcPort), String(at.httpPort)]);
  const turns = new Map<number, Turn>();
  child.on("message", (message: CanaryMessage) => {
    const turn = turns.get(message.id);
    if (message.type === "speaking") return turn?.begun.resolve();
    turns.delete(message.id);
    if (message.type === "over") return turn?.over.resolve(message.turn);
    const error = new Error(`the canary's turn failed: ${message.reason}`);
    turn?.begun.reject(error);
    turn?.over.reject(error);
  });
  let id = 0;
  return {
    async speak(prompt) {
      id += 1;
      const turn = {
        begun: Promise.withResolvers<void>(),
        over: Promise.withResolvers<CanaryTurn>(),
      };
      turns.set(id, turn);
      // Looked at later: the attack comes first.
      turn.over.promise.catch(() => undefined);
      child.send({ id, prompt } satisfies CanaryRequest);
      await turn.begun.promise;
      return { over: turn.over.promise };
    },
    close: () => child.kill(),
  };
}
