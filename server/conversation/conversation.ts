import { abortable, onAbort, TurnCancelled, throwIfAborted } from "../core/async.ts";
import { outputRateHz, samplesPerChunk } from "../core/audio/pcm.ts";
import type { Tier } from "../failover/tier.ts";
import type { TierListener } from "../failover/tiers.ts";
import type { LanguageModel, Prompt } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { StoredTurn, TurnStore } from "../storage/records.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import type { ActiveTurns } from "./active-turns.ts";
import { admit, contextOf } from "./admission.ts";
import { type CollectedPrompts, createCollectedPrompts } from "./collected-prompts.ts";
import type { History } from "./history.ts";
import { type ReplyTiers, replySegments, type Segment, type TurnChunk } from "./reply.ts";
import { createSessions, prepareTiers, type Session, type Sessions } from "./sessions.ts";
import { createTurnRecord, playMs, readSegment, type TurnRecord } from "./turn-record.ts";
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
  /** True if another model is asked when one withholds its reply. */
  readonly failsOverWithheld?: boolean;
  /** Where turns are stored, if they are. */
  readonly store?: TurnStore | undefined;
  /** Called once for each turn that was admitted. */
  readonly onTurn: (report: TurnReport) => void;
};

/** The names of a turn that was admitted. */
export type TurnIds = { readonly turnId: string; readonly sessionId: string };

/** Hears about a turn what its chunks do not say. */
export type TurnListener = {
  /** The turn was admitted. Called before its first chunk. */
  readonly onBegin?: (ids: TurnIds) => void;
  /** The reply broke off and no tier could continue it. Called before the last chunk was pulled. */
  readonly onPartial?: () => void;
};

/**
 * The shares of a turn's time in which all language tiers but the last must have begun, and all speech
 * tiers but the last for each sentence: 10.5 and 4.5 s by default. So a chain of tiers that hang comes to
 * a spoken answer in half the turn's time.
 */
const TEXT_SHARE = 0.35;
const SPEECH_SHARE = 0.15;

/** Turns of many devices at once. */
export type Conversation = {
  /**
   * Runs a turn and yields its chunks as fast as they are made: all that are ready at the time of a
   * pull, up to 1 s of sound, as one array. The first sound leaves alone. Throws `TurnCancelled` when
   * the turn is cut short, `LimitExceeded` when too many run, and the providers' errors. Yields nothing
   * after its signal has fired. `clientSignal` fires when the client disconnects.
   */
  talk(
    request: TurnRequest,
    clientSignal: AbortSignal,
    listener?: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]>;
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
   * Cancels the device's turns, and drops what was collected of its prompts. With `upTo`, a turn's id, it
   * cancels that turn and those before it, and drops nothing: a later turn may need it. Returns the
   * turns' session ids, each once, oldest first.
   */
  interrupt(deviceId: string, upTo?: string): readonly string[];
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
    async *talk(request, clientSignal, listener = {}) {
      const turn = openTurn(parts, request, { clientSignal, listener });
      try {
        for await (const segment of turn.segments) {
          const batches = turn.open(segment);
          for (let batch = await batches.next(); batch; batch = await batches.next()) {
            for (const ready of turn.split(batch)) {
              yield turn.see(ready);
              turn.time.resume();
            }
          }
          turn.endSegment(segment);
        }
        await turn.complete();
        turn.end();
      } catch (error) {
        turn.end(error);
        throw error;
      } finally {
        turn.end(new TurnCancelled("disconnected"));
      }
    },
    collect(piece) {
      activeTurns.throwIfClosed();
      collectedPrompts.add(piece);
      sessions.prepare(piece, () => contextOf(piece, history));
    },
    collected: collectedPrompts.find,
    interrupt(deviceId, upTo) {
      if (upTo === undefined) {
        collectedPrompts.dropDevice(deviceId);
        sessions.dropPrepared(deviceId);
      }
      return activeTurns.interrupt(deviceId, upTo);
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

/** Who hears a turn. */
type TurnClient = { readonly clientSignal: AbortSignal; readonly listener: TurnListener };

/**
 * Admits a turn and starts it. Its segments run ahead of the reader: every stage is pulled by the one
 * after it, so a slow client slows the providers.
 */
function openTurn(parts: Parts, request: TurnRequest, client: TurnClient) {
  const { signal, session, time, stored, finish } = admit(parts, request, client);
  const scope = new AbortController();
  const forget = onAbort(signal, (reason) => scope.abort(reason));
  const record = createTurnRecord(session.sessionId, finish);
  // A turn parked in a write to a client that disconnected never reaches `finally`.
  signal.addEventListener("abort", () => record.end(signal.reason), { once: true });
  let sent = 0;
  const reply = replySegments(
    parts.tiers,
    {
      ...request,
      prompt: promptOf(request, session, parts.history),
      voice: { ...request.voice, queueKey: request.deviceId ?? Symbol("a text without a device") },
      sent: () => sent,
      isMute: record.isMute,
      onPartial(cause) {
        record.breakOff(cause);
        client.listener.onPartial?.();
      },
      textTime: { toBeginMs: time.maxMs * TEXT_SHARE, leftMs: time.leftMs },
      speechTime: { toBeginMs: time.maxMs * SPEECH_SHARE, leftMs: time.leftMs },
    },
    scope.signal,
  );
  return {
    segments: reply,
    time,
    /** Reads a segment's batches: its text, then its sound while there is a voice. */
    open: (segment: Segment) =>
      readSegment(segment, record.isMute, (error) => {
        throwIfAborted(signal);
        record.mute(error);
      }),
    /** The first sound leaves alone. */
    split: (batch: readonly TurnChunk[]) =>
      record.hasSounded() || batch.length === 1 ? [batch] : [batch.slice(0, 1), batch.slice(1)],
    /** The chunks as the client gets them. Throws once the signal has fired. */
    see(chunks: readonly TurnChunk[]): readonly TurnChunk[] {
      throwIfAborted(signal);
      time.pause(playMs(chunks));
      return chunks.map(record.see);
    },
    endSegment({ text }: Segment) {
      record.endSegment();
      if (text !== undefined) sent += 1;
    },
    /** Resolves when the reply is stored. Rejects if it lacks its voice, or when the signal fires. */
    complete: () => complete(record, stored, signal),
    /** Reports the turn and releases everything. Only the first call counts. */
    end(error?: unknown) {
      forget();
      // Releases what was made ahead, if the turn ends early.
      scope.abort();
      record.end(error);
    },
  };
}

/** What the model gets. Of a client that keeps the conversation, its own history alone. */
function promptOf(
  request: TurnRequest,
  session: Parameters<typeof contextOf>[0],
  history: History,
): Prompt {
  const { prompt, turnId, hasOwnHistory } = request;
  return { ...prompt, turnId, ...contextOf(session, hasOwnHistory ? undefined : history) };
}

async function complete(record: TurnRecord, stored: StoredTurn | undefined, signal: AbortSignal) {
  throwIfAborted(signal);
  record.complete();
  // What the client sees end survives the death of the process.
  if (stored) await abortable(stored.end(record.read()), signal);
}
