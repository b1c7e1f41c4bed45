import { type CancelReason, TurnCancelled, throwIfAborted } from "../core/async/abort.ts";
import type { PromptContext } from "../models/language-model.ts";
import type { ActiveTurns } from "./active-turns.ts";
import type {
  CollectedPrompt,
  CollectedPrompts,
  PromptOwner,
  PromptPiece,
} from "./collected-prompts.ts";
import type { History, Talker } from "./history.ts";
import { createPreparations } from "./preparations.ts";
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
  readonly collectedPrompts: CollectedPrompts;
  /** Told once for each turn that was begun. */
  readonly onTurn: (report: TurnReport) => void;
};

/** Turns of many devices at once. */
export type Conversation = {
  /**
   * Runs a turn and yields its chunks as fast as they are made: all that are ready at the time of a
   * pull as one array, never empty. Throws `TurnCancelled` when it is
   * cut short, `LimitExceeded` when too many run, and a provider's error. Nothing is yielded after
   * its signal has fired. `clientSignal` fires when the client leaves.
   */
  talk(request: TurnRequest, clientSignal: AbortSignal): AsyncGenerator<readonly TurnChunk[]>;
  /**
   * Keeps a piece of a prompt while the user still speaks, and makes ready what the turn will need.
   * Runs no turn and ends none. Throws what `CollectedPrompts.add` throws.
   */
  collect(piece: PromptPiece): void;
  /**
   * What was collected for the turn that is about to begin. `talk` forgets it once it has let the
   * turn in: a turn that is refused may be asked for again with nothing lost.
   */
  collected(owner: PromptOwner): CollectedPrompt | undefined;
  /**
   * Cancels the device's turns, and drops what was collected of its prompts. Answers the turns'
   * session ids, oldest first.
   */
  interrupt(deviceId: string): readonly string[];
  /** Cancels every turn, forgets what was collected, and refuses both from now on. */
  stop(): void;
};

/** Makes a conversation. */
export function createConversation(options: ConversationOptions): Conversation {
  const { stages, activeTurns, collectedPrompts, history } = options;
  const preparations = createPreparations(stages.prepare);
  return {
    async *talk(request, clientSignal) {
      const turn = activeTurns.begin(request, clientSignal);
      forgetCollected(request, collectedPrompts);
      const releasePrepared = preparations.take(request);
      const watch = watchTurn(request.sessionId, (report, said) => {
        releasePrepared();
        options.onTurn(report);
        // A text that was spoken as it stands is not what the user said, nor a model's answer to it.
        if (!request.verbatim) {
          history.record(request, { user: request.prompt.text, assistant: said });
        }
      });
      // A turn parked in a write to a client that left never reaches `finally`.
      turn.signal.addEventListener("abort", () => watch.end(turn.signal.reason), { once: true });
      try {
        const prompt = { ...request.prompt, ...contextOf(request, history) };
        const asked = { ...request, prompt };
        for await (const chunks of runTurn(asked, stages, turn.signal)) {
          throwIfAborted(turn.signal);
          for (const chunk of chunks) watch.see(chunk);
          yield chunks;
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
    collect(piece) {
      collectedPrompts.add(piece);
      preparations.begin(piece, () => contextOf(piece, history));
    },
    collected: collectedPrompts.find,
    interrupt(deviceId) {
      collectedPrompts.dropDevice(deviceId);
      preparations.dropDevice(deviceId);
      return activeTurns.interrupt(deviceId);
    },
    stop() {
      collectedPrompts.stop();
      preparations.stop();
      activeTurns.cancelAll("shutdown");
    },
  };
}

/** The turn has it now, and no other turn may. */
function forgetCollected(request: TurnRequest, collectedPrompts: CollectedPrompts): void {
  const { deviceId, conversationId, collected } = request;
  if (deviceId === undefined || conversationId === undefined || !collected) return;
  collectedPrompts.remove({ deviceId, conversationId }, collected);
}

/** What a language model is told beside the user's words. */
function contextOf(talker: Talker, history: History): PromptContext {
  const { deviceId, conversationId } = talker;
  const earlier = history.recall(talker);
  return {
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
