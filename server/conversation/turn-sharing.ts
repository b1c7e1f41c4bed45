import type { SharedTurns, TakenTurn, TurnName } from "../cluster/shared-turns-contract.ts";
import { countSamples } from "./chunk-samples.ts";
import type { Continuation } from "./continuation.ts";
import type { NumberedStart } from "./numbered-chunks.ts";
import { OwnedTurn, type OwnerListener } from "./owned-turn.ts";
import type { TurnChunk } from "./reply.ts";
import { type DeviceTurnRequest, decodeChunk, decodeRequest, encodeRequest } from "./turn-codec.ts";
import { breakOf, cutChunks, type Progress, TurnProgress } from "./turn-progress.ts";

/** What this instance shares of its turns with others. */
export type Sharing = {
  readonly turns: SharedTurns;
  /** Tells a voice's tier from a language model's that speaks by itself. */
  readonly isVoice: (tier: string) => boolean;
};

/** Makes the owner of a turn; `first` is the number of the first chunk that is kept. */
type Own = (first: () => number, listener: OwnerListener) => OwnedTurn;

/** Whether a turn begins here: owned, alone as Redis is lost, or not at all since another has it. */
export type Opened =
  | { readonly state: "owned"; readonly own: Own }
  | { readonly state: "alone" | "elsewhere" };

/** A turn that goes on here. */
export type Continued = {
  readonly request: DeviceTurnRequest;
  readonly start: NumberedStart;
  /** Sound that was made and not sent. */
  readonly held: readonly TurnChunk[];
  /** "" if nothing was sent. */
  readonly sessionId: string;
  readonly isPartial: boolean;
  readonly own: Own;
};

/** Begins a turn that other instances are to know. */
export async function openShared(
  { turns, isVoice }: Sharing,
  request: DeviceTurnRequest,
): Promise<Opened> {
  try {
    if (!(await turns.open(request, encodeRequest(request)))) return { state: "elsewhere" };
  } catch {
    return { state: "alone" };
  }
  const begun = { name: nameOf(request), epoch: 1, token: 1, last: 0 };
  return {
    state: "owned",
    own: (first, listener) =>
      new OwnedTurn(turns, { ...begun, progress: new TurnProgress(isVoice), first }, listener),
  };
}

/** Takes a turn whose instance is gone. Undefined if another was faster, or it has ended. */
export async function takeShared(
  { turns, isVoice }: Sharing,
  name: TurnName,
): Promise<Continued | undefined> {
  const taken = await turns.take(name);
  if (!taken) return undefined;
  const { epoch, token, sent } = taken;
  const request = decodeRequest(taken.request);
  const { progress, start, held } = readTaken(taken);
  const { samples, continuation, untold } = breakOf(progress, start.samples);
  const cut = cutChunks(held, start.samples, samples);
  // Packets cannot be cut where a word ends: the sound goes on behind the last one that is left.
  const cutSamples = start.samples + countSamples(cut);
  const { text: textStart } = continuation.spanStart;
  const again = { ...progress, sentence: { textStart, startSample: cutSamples }, words: [] };
  const tracker = new TurnProgress(isVoice, { ...again, samples: start.samples }, untold);
  const { sessionId } = progress;
  const hasSaid = progress.said !== "";
  return {
    request: {
      ...request,
      ...(sessionId && { sessionId }),
      ...(hasSaid && { continues: { ...continuation, ...placeAt(continuation, cutSamples) } }),
    },
    start,
    held: cut,
    sessionId,
    isPartial: progress.isPartial,
    own: (first, listener) =>
      new OwnedTurn(turns, { name, epoch, token, last: sent, progress: tracker, first }, listener),
  };
}

function readTaken({ progress, chunks, sent }: TakenTurn) {
  const read: Progress =
    progress === "" ? new TurnProgress(() => true).read() : JSON.parse(progress);
  const all = chunks.map(({ sequence, bytes }) => ({ sequence, chunk: decodeChunk(bytes) }));
  const held = all.filter(({ sequence }) => sequence > sent).map(({ chunk }) => chunk);
  const own = all.filter(({ sequence }) => sequence <= sent).map(({ chunk }) => chunk);
  const start = { last: sent, samples: read.samples - countSamples(held), chunks: own };
  return { progress: read, start, held };
}

function placeAt({ spanStart }: Continuation, samples: number) {
  return { samples, spanStart: { ...spanStart, sample: samples } };
}

function nameOf({ deviceId, turnId }: DeviceTurnRequest): TurnName {
  return { deviceId, turnId };
}

/** Whether a turn that another instance runs belongs to a session. */
export async function isOfSession(
  turns: SharedTurns,
  name: TurnName,
  sessionId: string,
): Promise<boolean> {
  return (await readProgress(turns, name))?.sessionId === sessionId;
}

/** How far a turn of another instance is. Undefined if nothing was written of it, or it is gone. */
export async function readProgress(
  turns: SharedTurns,
  name: TurnName,
): Promise<Progress | undefined> {
  const text = await turns.progress(name);
  return text === "" ? undefined : JSON.parse(text);
}
