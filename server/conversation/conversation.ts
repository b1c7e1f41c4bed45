import type { SharedTurns } from "../cluster/shared-turns-contract.ts";
import { TurnCancelled } from "../core/async.ts";
import { outputRateHz, samplesPerChunk } from "../core/audio/pcm.ts";
import { NotFound } from "../core/errors.ts";
import type { Tier } from "../failover/tier.ts";
import type { TierListener } from "../failover/tiers.ts";
import type { Quotas } from "../limits/quotas.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { Interrupt } from "../telemetry/interrupts.ts";
import type { ActiveTurns, CutHere, Interrupted } from "./active-turns-contract.ts";
import { type AdmissionParts, contextOf } from "./admission.ts";
import { createCollectedPrompts } from "./collected-prompts.ts";
import type { History } from "./history.ts";
import type { UserMemory } from "./memory/memory.ts";
import type { TurnChunk } from "./reply.ts";
import { type ResumableStatus, ResumableTurns } from "./resumable-turns.ts";
import type { Screenshots } from "./screenshots.ts";
import { createSessions, prepareTiers, type Session } from "./sessions.ts";
import { openTurn, type TurnListener, type TurnParts } from "./turn.ts";
import type { TurnPosition } from "./turn-position.ts";
import type { CollectedPrompt, PromptPiece, TurnRequest } from "./turn-request.ts";
import type { Talk } from "./turn-runner.ts";

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
  /** Milliseconds without a turn that end a device's current session. 300 s if absent. */
  readonly sessionIdleMs?: number;
  /** True if another model is asked when one withholds its reply. */
  readonly failsOverWithheld?: boolean;
  /** What is remembered of users, if anything is. */
  readonly memory?: UserMemory;
  /** Turns that several instances know. Absent if this one runs alone. */
  readonly sharedTurns?: SharedTurns | undefined;
  /** Encodes the sound of a turn that can be resumed, where its request says so. */
  readonly encode?: EncodeTurn;
  /** Where screenshots are kept, if they are. */
  readonly screenshots?: Screenshots;
  /** What each device may use in a day. Absent: any amount. */
  readonly quotas?: Quotas;
  /** Follows each turn that was admitted. */
  readonly observe?: NonNullable<AdmissionParts["observe"]>;
  /** Called with each interrupt, once its turns are cancelled. */
  readonly onInterrupt?: (interrupt: Interrupt) => void;
};

/** Encodes a turn's sound: yields its chunks with a `packet`, whose samples `pcm` counts. */
type EncodeTurn = (
  batches: AsyncIterable<readonly TurnChunk[]>,
  signal: AbortSignal,
) => AsyncIterable<readonly TurnChunk[]>;

/** How far a client has played a turn. */
type PlaybackReport = {
  readonly deviceId: string;
  readonly turnId: string;
  /** If it is named, the turn must belong to it. */
  readonly sessionId?: string;
  /** Samples at 48 kHz, from the first one of the turn. */
  readonly samples: number;
};

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
   * The rest of a turn that can be resumed, behind its client's place: chunks as `talk` yielded them.
   * Throws `NotFound` if the device has no such turn, `OutOfRange` if its place is not kept, and as
   * `talk` does.
   */
  resume(
    position: TurnPosition,
    clientSignal: AbortSignal,
    listener?: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]>;
  /** Whether the device has a turn of that id that can be resumed: its id runs no second one. */
  isKept(turn: Pick<TurnPosition, "deviceId" | "turnId">): boolean;
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
   * cancels that turn and those before it, and drops nothing: a later turn may need it. Turns that were
   * sent and still play are cut where they are heard. What is being distilled of the turns is dropped.
   * All this at once here, and on every other instance; it waits for those, 250 ms at most. Never rejects.
   * `tokenId` names the caller in the log.
   */
  interrupt(deviceId: string, upTo?: string, tokenId?: string): Promise<Interrupted>;
  /**
   * The client has played so many samples of its turn. Resolves when that is kept. Rejects with `NotFound`
   * if the turn is unknown, of another session, or another device's.
   */
  reportPlayback(report: PlaybackReport): Promise<void>;
  /** The turns that can be resumed. */
  resumableStatus(): ResumableStatus;
  /** Cancels every turn, forgets what was collected, and refuses both from now on. */
  stop(): void;
};

/** Makes a conversation. */
export function createConversation(options: ConversationOptions): Conversation {
  const { activeTurns, history } = options;
  const collectedPrompts = createCollectedPrompts();
  const sessions = createSessions((context, signal) => prepareTiers(options, context, signal), {
    ...(options.sessionIdleMs !== undefined && { idleMs: options.sessionIdleMs }),
  });
  const tiers = { ...options, samplesPerChunk: samplesPerChunk(options.frameMs, outputRateHz) };
  const parts: TurnParts = { ...options, tiers, collectedPrompts, sessions };
  const talk: Conversation["talk"] = (request, clientSignal, listener = {}) =>
    runTurn(parts, request, { clientSignal, listener });
  const resumableTurns = openResumable(options, talk);
  activeTurns.onInterrupt(({ deviceId, last, meansAll, includes }) => {
    if (meansAll) {
      collectedPrompts.dropDevice(deviceId, last);
      sessions.dropPrepared(deviceId);
    }
    options.memory?.drop(deviceId, includes);
    resumableTurns.drop(deviceId, includes);
  });
  return {
    talk(request, clientSignal, listener = {}) {
      const { deviceId, resumable } = request;
      if (!resumable || deviceId === undefined) return talk(request, clientSignal, listener);
      return resumableTurns.run({ ...request, deviceId }, clientSignal, listener);
    },
    resume: (position, clientSignal, listener = {}) =>
      resumableTurns.resume(position, clientSignal, listener),
    isKept: (turn) => resumableTurns.isKept(turn),
    collect(piece) {
      activeTurns.throwIfClosed();
      collectedPrompts.add(piece, activeTurns.mark);
      sessions.prepare(piece, () => contextOf(piece, history));
    },
    collected: collectedPrompts.find,
    async interrupt(deviceId, upTo, tokenId) {
      const onCut = tellInterrupt(options, { deviceId, tokenId });
      const interrupted = activeTurns.interrupt(deviceId, upTo, onCut);
      // Nobody goes on with what was interrupted, once that is answered.
      await resumableTurns.dropShared(deviceId, upTo);
      return await interrupted;
    },
    async reportPlayback({ samples, ...turn }) {
      if (await resumableTurns.confirmElsewhere(turn, samples)) return;
      const listening = activeTurns.find(turn);
      if (!listening) throw new NotFound("this device has no such turn");
      resumableTurns.confirm(turn, samples);
      await listening.report(samples);
    },
    resumableStatus: () => resumableTurns.status(),
    stop() {
      collectedPrompts.stop();
      sessions.stop();
      activeTurns.cancelAll("shutdown");
      resumableTurns.stop();
    },
  };
}

function openResumable(options: ConversationOptions, talk: Talk): ResumableTurns {
  const { activeTurns, encode, sharedTurns, synthesizers } = options;
  const talkEncoded: Talk = (request, signal, listener) => {
    const batches = talk(request, signal, listener);
    return request.audioFormat && encode ? encode(batches, signal) : batches;
  };
  const voices = new Set(synthesizers.map(({ provider }) => provider.name));
  const isVoice = (tier: string) => voices.has(tier);
  const sharing = sharedTurns && { turns: sharedTurns, isVoice };
  return new ResumableTurns(talkEncoded, activeTurns, { sharing });
}

/** Tells of an interrupt what it found here. */
function tellInterrupt(
  { onInterrupt }: ConversationOptions,
  caller: Pick<Interrupt, "deviceId" | "tokenId">,
) {
  const atMs = performance.now();
  return ({ sessions, turns, sentTurns }: CutHere) =>
    onInterrupt?.({
      ...caller,
      sessionId: sessions[0],
      turnIds: turns,
      sentTurns: sentTurns.length,
      atMs,
    });
}

/** Runs a turn while it is pulled. */
async function* runTurn(
  parts: TurnParts,
  request: TurnRequest,
  client: { readonly clientSignal: AbortSignal; readonly listener: TurnListener },
): AsyncGenerator<readonly TurnChunk[]> {
  const turn = await openTurn(parts, request, client);
  try {
    for await (const segment of await turn.start()) {
      const batches = turn.open(segment);
      for (let chunks = await batches.next(); chunks; chunks = await batches.next()) {
        yield turn.see(chunks);
        turn.resume();
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
    turn.fallSilent();
  }
}
