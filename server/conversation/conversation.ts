import { type CancelReason, TurnCancelled, throwIfAborted } from "../core/abort.ts";
import type { Prompt } from "../providers/text/generator.ts";
import type { ActiveTurns } from "./active-turns.ts";
import type { History } from "./history.ts";
import type { Stages, TurnChunk } from "./turn.ts";
import { runTurn } from "./turn.ts";
import type { TurnRequest } from "./turn-request.ts";

/** How a turn went, for logs and figures. Times are milliseconds from its begin. */
export type TurnReport = {
  readonly sessionId: string;
  readonly outcome: "done" | "failed" | CancelReason;
  readonly error?: Error;
  /** Time to the first text. */
  readonly ttftMs?: number;
  /** Time to the first audio. */
  readonly ttfaMs?: number;
  readonly durationMs: number;
};

/** What a conversation is made of. */
export type ConversationOptions = {
  readonly stages: Stages;
  readonly history: History;
  readonly activeTurns: ActiveTurns;
  /** Told once for each turn that was begun. */
  readonly onTurn: (report: TurnReport) => void;
};

/** Turns of many devices at once. */
export type Conversation = {
  /**
   * Runs a turn and yields its chunks as fast as they are made. Throws `TurnCancelled` when it is
   * cut short, `LimitExceeded` when too many run, and a provider's error. Nothing is yielded after
   * its signal has fired. `clientSignal` fires when the client leaves.
   */
  talk(request: TurnRequest, clientSignal: AbortSignal): AsyncGenerator<TurnChunk>;
  /** Cancels the device's turns. Answers their session ids, oldest first. */
  interrupt(deviceId: string): readonly string[];
};

/** Makes a conversation. */
export function createConversation(options: ConversationOptions): Conversation {
  const { stages, activeTurns, history } = options;
  return {
    async *talk(request, clientSignal) {
      const turn = activeTurns.begin(request, clientSignal);
      const watch = watchTurn(request.sessionId, (report, said) => {
        options.onTurn(report);
        // A text that was spoken as it stands is not what the user said, nor a model's answer to it.
        if (!request.verbatim) {
          history.record(request, { user: request.prompt.text, assistant: said });
        }
      });
      // A turn parked in a write to a client that left never reaches `finally`.
      turn.signal.addEventListener("abort", () => watch.end(turn.signal.reason), { once: true });
      try {
        const asked = { ...request, prompt: withContext(request, history) };
        for await (const chunk of runTurn(asked, stages, turn.signal)) {
          throwIfAborted(turn.signal);
          watch.see(chunk);
          yield chunk;
        }
        throwIfAborted(turn.signal);
        watch.end();
      } catch (error) {
        watch.end(error);
        throw error;
      } finally {
        turn.end();
        watch.end(new TurnCancelled("disconnected"));
      }
    },
    interrupt: activeTurns.interrupt,
  };
}

/** What a generator is told beside the user's words. */
function withContext(request: TurnRequest, history: History): Prompt {
  const { deviceId, conversationId } = request;
  const earlier = history.recall(request);
  return {
    ...request.prompt,
    ...(deviceId !== undefined && { deviceId }),
    ...(conversationId !== undefined && { sessionId: conversationId }),
    ...(earlier.length > 0 && { history: earlier }),
  };
}

function watchTurn(sessionId: string, onEnd: (report: TurnReport, said: string) => void) {
  const begun = performance.now();
  const since = () => Math.round((performance.now() - begun) * 10) / 10;
  const first: { ttftMs?: number; ttfaMs?: number } = {};
  let said = "";
  let ended = false;
  return {
    see(chunk: TurnChunk) {
      if (chunk.type === "audio") {
        first.ttfaMs ??= since();
      } else {
        first.ttftMs ??= since();
        said += chunk.text;
      }
    },
    /** Reports the turn; only the first call counts. */
    end(error?: unknown) {
      if (ended) return;
      ended = true;
      onEnd({ sessionId, ...first, durationMs: since(), ...outcomeOf(error) }, said);
    },
  };
}

function outcomeOf(error: unknown): Pick<TurnReport, "outcome" | "error"> {
  if (error === undefined) return { outcome: "done" };
  if (error instanceof TurnCancelled) return { outcome: error.reason };
  return { outcome: "failed", error: error instanceof Error ? error : new Error(String(error)) };
}
