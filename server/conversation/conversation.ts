import { onAbort, TurnCancelled, throwIfAborted } from "../core/async.ts";
import { outputRateHz, samplesPerChunk } from "../core/audio/pcm.ts";
import type { Tier } from "../failover/tier.ts";
import type { TierListener } from "../failover/tiers.ts";
import { overloadOf } from "../failover/voices.ts";
import type { LanguageModel, PromptContext } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import type { ActiveTurns } from "./active-turns.ts";
import { type CollectedPrompts, createCollectedPrompts } from "./collected-prompts.ts";
import type { History } from "./history.ts";
import { type ReplyTiers, replySegments, type TurnChunk } from "./reply.ts";
import { createSessions, prepareTiers, type Session, type Sessions } from "./sessions.ts";
import type { CollectedPrompt, PromptPiece, TurnRequest } from "./turn-request.ts";

/** What a conversation is made of. */
export type ConversationOptions = TierListener & {
  /** Best first. */
  readonly languageModels: readonly Tier<LanguageModel>[];
  /** Best first. */
  readonly synthesizers: readonly Tier<Synthesizer>[];
  /** Milliseconds of an audio chunk, rounded down to whole blocks of 512 samples. */
  readonly frameMs: number;
  readonly history: History;
  readonly activeTurns: ActiveTurns;
  /** Called once for each turn that was admitted. */
  readonly onTurn: (report: TurnReport) => void;
};

/** Turns of many devices at once. */
export type Conversation = {
  /**
   * Runs a turn and yields its chunks as fast as they are made: all that are ready at the time of a
   * pull, up to 1 s of sound, as one array. The first sound leaves alone. Throws `TurnCancelled` when
   * the turn is cut short, `LimitExceeded` when too many run, and the providers' errors. Yields nothing
   * after its signal has fired. `clientSignal` fires when the client disconnects.
   */
  talk(request: TurnRequest, clientSignal: AbortSignal): AsyncGenerator<readonly TurnChunk[]>;
  /**
   * Keeps a piece of a prompt while the user still speaks, and prepares what the turn will need. Starts
   * no turn and ends none. Throws what `CollectedPrompts.add` throws.
   */
  collect(piece: PromptPiece): void;
  /**
   * What was collected for the turn that is about to start. `talk` forgets it once it has admitted the
   * turn: a turn that is refused can be sent again with nothing lost.
   */
  collected(session: Session): CollectedPrompt | undefined;
  /**
   * Cancels the device's turns, and drops what was collected of its prompts. Returns the turns' session
   * ids, each once, oldest first.
   */
  interrupt(deviceId: string): readonly string[];
  /** Cancels every turn, forgets what was collected, and refuses both from now on. */
  stop(): void;
};

/** Makes a conversation. */
export function createConversation(options: ConversationOptions): Conversation {
  const { activeTurns, history } = options;
  const collectedPrompts = createCollectedPrompts();
  const sessions = createSessions((context, signal) => prepareTiers(options, context, signal));
  const tiers = { ...options, samplesPerChunk: samplesPerChunk(options.frameMs, outputRateHz) };
  const parts: Parts = { ...options, tiers, collectedPrompts, sessions };
  return {
    async *talk(request, clientSignal) {
      const turn = openTurn(parts, request, clientSignal);
      try {
        for await (const { text, chunks = [] } of turn.segments) {
          if (text !== undefined) yield turn.see([{ type: "text", text }]);
          for await (const batch of chunks) {
            for (const ready of turn.split(batch)) yield turn.see(ready);
          }
          turn.endSegment(text !== undefined);
        }
        throwIfAborted(turn.signal);
        turn.end();
      } catch (error) {
        turn.end(error);
        throw error;
      } finally {
        turn.end(new TurnCancelled("disconnected"));
      }
    },
    collect(piece) {
      collectedPrompts.add(piece);
      sessions.prepare(piece, () => contextOf(piece, history));
    },
    collected: collectedPrompts.find,
    interrupt(deviceId) {
      collectedPrompts.dropDevice(deviceId);
      sessions.dropPrepared(deviceId);
      return activeTurns.interrupt(deviceId);
    },
    stop() {
      collectedPrompts.stop();
      sessions.stop();
      activeTurns.cancelAll("shutdown");
    },
  };
}

type Parts = ConversationOptions & {
  readonly tiers: ReplyTiers;
  readonly collectedPrompts: CollectedPrompts;
  readonly sessions: Sessions;
};

/**
 * Admits a turn and starts it. Its segments run ahead of the reader: every stage is pulled by the one
 * after it, so a slow client slows the providers.
 */
function openTurn(parts: Parts, request: TurnRequest, clientSignal: AbortSignal) {
  const overload = overloadOf(parts.synthesizers);
  if (overload) throw overload;
  const { signal, session, finish } = admit(parts, request, clientSignal);
  const scope = new AbortController();
  const forget = onAbort(signal, (reason) => scope.abort(reason));
  const timeline = createTimeline();
  const report = createReport(session.sessionId, finish);
  // A turn parked in a write to a client that disconnected never reaches `finally`.
  signal.addEventListener("abort", () => report.end(signal.reason), { once: true });
  let sent = 0;
  const reply = replySegments(
    parts.tiers,
    {
      prompt: { ...request.prompt, ...contextOf(session, parts.history) },
      verbatim: request.verbatim,
      voice: { ...request.voice, queueKey: request.deviceId ?? Symbol("a text without a device") },
      sent: () => sent,
    },
    scope.signal,
  );
  return {
    signal,
    segments: reply,
    /** The first sound leaves alone. */
    split: (batch: readonly TurnChunk[]) =>
      report.hasSounded() || batch.length === 1 ? [batch] : [batch.slice(0, 1), batch.slice(1)],
    /** The chunks as the client gets them. Throws once the signal has fired. */
    see(chunks: readonly TurnChunk[]): readonly TurnChunk[] {
      throwIfAborted(signal);
      for (const chunk of chunks) report.see(chunk);
      return chunks.map(timeline.place);
    },
    endSegment(isSentence: boolean) {
      timeline.endSegment();
      if (isSentence) sent += 1;
    },
    /** Reports the turn and releases everything. Only the first call counts. */
    end(error?: unknown) {
      forget();
      // Releases what was made ahead, if the turn ends early.
      scope.abort();
      report.end(error);
    },
  };
}

/** Lists the turn and gives it its session, and what was collected and prepared for it. */
function admit(parts: Parts, request: TurnRequest, clientSignal: AbortSignal) {
  const { activeTurns, collectedPrompts, sessions, history, onTurn } = parts;
  const { deviceId, collected } = request;
  const sessionId = sessions.idOf(request);
  const turn = activeTurns.begin({ ...request, sessionId }, clientSignal);
  if (deviceId === undefined) {
    const finish = (report: TurnReport) => {
      turn.end();
      onTurn(report);
    };
    return { signal: turn.signal, session: { sessionId }, finish };
  }
  const session = { deviceId, sessionId };
  const isCurrent = request.sessionId === undefined;
  if (isCurrent) sessions.continue(session);
  if (collected) collectedPrompts.remove(session, collected);
  const releasePrepared = sessions.takePrepared(session);
  const finish = (report: TurnReport, said: string) => {
    turn.end();
    releasePrepared();
    if (isCurrent) sessions.continue(session);
    onTurn(report);
    // A text that is spoken verbatim is not what the user said, nor a model's answer to it.
    if (!request.verbatim) history.record(session, { user: request.prompt.text, assistant: said });
  };
  return { signal: turn.signal, session, finish };
}

type TurnSession = { readonly deviceId?: string; readonly sessionId: string };

/** What a language model gets beside the user's words. */
function contextOf({ deviceId, sessionId }: TurnSession, history: History): PromptContext {
  if (deviceId === undefined) return { sessionId };
  const earlier = history.recall({ deviceId, sessionId });
  return { deviceId, sessionId, ...(earlier.length > 0 && { history: earlier }) };
}

/** Moves words from their segment's time to the turn's. */
function createTimeline() {
  let segmentStart = 0;
  let samples = 0;
  return {
    endSegment() {
      segmentStart = samples;
    },
    place(chunk: TurnChunk): TurnChunk {
      if (chunk.type === "text") return chunk;
      samples += chunk.pcm.length;
      const words = chunk.words?.map((word) => ({
        ...word,
        startSample: word.startSample + segmentStart,
        endSample: word.endSample + segmentStart,
      }));
      return words ? { ...chunk, words } : chunk;
    },
  };
}

/** Measures a turn. `onEnd` is called once, with the report and the reply's text so far. */
function createReport(sessionId: string, onEnd: (report: TurnReport, said: string) => void) {
  const startMs = performance.now();
  const since = () => Math.round((performance.now() - startMs) * 10) / 10;
  const first: { ttftMs?: number; ttfaMs?: number } = {};
  let said = "";
  let hasEnded = false;
  return {
    hasSounded: () => first.ttfaMs !== undefined,
    see(chunk: TurnChunk) {
      if (chunk.type === "audio") {
        first.ttfaMs ??= since();
      } else {
        first.ttftMs ??= since();
        said += chunk.text;
      }
    },
    end(error?: unknown) {
      if (hasEnded) return;
      hasEnded = true;
      onEnd({ sessionId, ...first, durationMs: since(), ...outcomeOf(error) }, said);
    },
  };
}

function outcomeOf(error: unknown): Pick<TurnReport, "outcome" | "error"> {
  if (error === undefined) return { outcome: "done" };
  if (error instanceof TurnCancelled) return { outcome: error.reason };
  return { outcome: "failed", error: error instanceof Error ? error : new Error(String(error)) };
}
