import { abortable, TurnCancelled } from "../core/async.ts";
import type { Tier } from "../failover/tier.ts";
import { checkVoiceName, overloadOf } from "../failover/voices.ts";
import type { Quotas } from "../limits/quotas.ts";
import type { PromptContext } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import type { TurnObserver } from "../telemetry/turn-observer.ts";
import type { ActiveTurns } from "./active-turns-contract.ts";
import type { CollectedPrompts } from "./collected-prompts.ts";
import type { History } from "./history.ts";
import type { UserMemory } from "./memory/memory.ts";
import type { Screenshots } from "./screenshots.ts";
import type { Sessions } from "./sessions.ts";
import { payerOf } from "./turn-charge.ts";
import type { TurnRequest } from "./turn-request.ts";

/** What knows of a turn from its admission to its end. */
export type AdmissionParts = {
  readonly synthesizers: readonly Tier<Synthesizer>[];
  readonly activeTurns: ActiveTurns;
  readonly collectedPrompts: CollectedPrompts;
  readonly sessions: Sessions;
  readonly history: History;
  readonly memory?: UserMemory;
  readonly screenshots?: Screenshots;
  /** What each device may use in a day. Absent: any amount. */
  readonly quotas?: Quotas;
  /** Follows each turn that was admitted. What it leaves out is not told. */
  readonly observe?: (ids: {
    readonly turnId: string;
    readonly sessionId: string;
  }) => Partial<TurnObserver>;
};

/** Who asks for the turn. */
type AdmittedClient = {
  readonly clientSignal: AbortSignal;
  readonly listener: {
    readonly onBegin?: (ids: { readonly turnId: string; readonly sessionId: string }) => void;
    readonly untilOwned?: () => Promise<void>;
  };
};

/**
 * Lists the turn and gives it its session, and what was collected and prepared for it. All that happens
 * before the first wait, which is for other instances, if there are any.
 */
export async function admit(
  parts: AdmissionParts,
  request: TurnRequest,
  { clientSignal, listener }: AdmittedClient,
) {
  const { name: voice } = request.voice;
  // A text without a device is an older client's: it may name any voice, and hears the one there is.
  if (voice && request.deviceId !== undefined) checkVoiceName(parts.synthesizers, voice);
  const payerId = payerOf(request);
  const isContinued = request.continues !== undefined;
  if (payerId !== undefined && !isContinued) parts.quotas?.check(payerId);
  const overload = request.textOnly ? undefined : overloadOf(parts.synthesizers);
  if (overload) throw overload;
  const { sessions, history } = parts;
  const { deviceId } = request;
  const isCurrent = request.sessionId === undefined;
  const asked = { ...request, sessionId: sessions.idOf(request), isCurrent, isContinued };
  const { untilOwned } = listener;
  const turn = begin(parts, { ...asked, untilOwned }, clientSignal);
  const restoreCollected = takeCollected(parts, asked);
  const sessionId = turn.admitted
    ? await turn.admitted.catch((error) => throwRefused(error, restoreCollected))
    : asked.sessionId;
  listener.onBegin?.({ turnId: request.turnId, sessionId });
  if (deviceId === undefined) {
    const finish = (_report: TurnReport, _reply: string) => turn.end();
    return { ...turn, session: { sessionId }, kept: undefined, finish };
  }
  const session = { deviceId, sessionId };
  if (isCurrent) sessions.continue(session);
  const releasePrepared = sessions.takePrepared(session);
  const kept = history.begin({
    ...session,
    id: request.turnId,
    // A text that is spoken verbatim is not what the user said, nor a model's answer to it. A client
    // that keeps the conversation tells it anew with each turn.
    ...(!request.verbatim && !request.hasOwnHistory && { prompt: request.prompt.text }),
  });
  if (!isContinued) keepScreenshot(parts, deviceId, request);
  const finish = (report: TurnReport, reply: string) => {
    turn.end();
    releasePrepared();
    if (isCurrent) sessions.continue(session);
    const hasCompleted = report.outcome === "done" || report.outcome === "partial";
    if (!hasCompleted || request.verbatim || request.hasOwnHistory) return;
    parts.memory?.distil({
      deviceId,
      turnId: request.turnId,
      user: request.prompt.text,
      assistant: reply,
    });
  };
  return { ...turn, session, kept, finish };
}

/** In the background. A text that is spoken verbatim was not said before this screen. */
function keepScreenshot(
  { screenshots }: AdmissionParts,
  deviceId: string,
  turn: TurnRequest,
): void {
  const { screenshot, screen } = turn.prompt;
  if (!screenshots || !screenshot || turn.verbatim) return;
  screenshots.keep({ deviceId, turnId: turn.turnId, screenshot, ...(screen && { screen }) });
}

type AskedTurn = TurnRequest & {
  readonly sessionId: string;
  readonly isCurrent: boolean;
  readonly isContinued: boolean;
  readonly untilOwned?: (() => Promise<void>) | undefined;
};

/** Lists the turn. What was collected for one that was interrupted before it came goes with it. */
function begin(parts: AdmissionParts, turn: AskedTurn, clientSignal: AbortSignal) {
  try {
    return parts.activeTurns.begin(turn, clientSignal);
  } catch (error) {
    if (isInterrupt(error)) takeCollected(parts, turn);
    throw error;
  }
}

/** Nobody else gets what was collected for the turn, until the function returned is called. */
function takeCollected(
  { collectedPrompts }: AdmissionParts,
  { deviceId, sessionId, collected }: AskedTurn,
): () => void {
  if (deviceId === undefined || !collected) return () => undefined;
  return collectedPrompts.remove({ deviceId, sessionId }, collected);
}

/** A turn that other instances refuse can be sent again, with nothing lost. */
function throwRefused(error: unknown, restoreCollected: () => void): never {
  if (!isInterrupt(error)) restoreCollected();
  throw error;
}

function isInterrupt(error: unknown): boolean {
  return error instanceof TurnCancelled && error.reason === "interrupted";
}

type TurnSession = { readonly deviceId?: string; readonly sessionId: string };

/**
 * What a language model gets beside the user's words. Of a client that keeps the conversation it gets the
 * client's history alone.
 */
export async function recall(
  parts: AdmissionParts,
  request: TurnRequest,
  { session, signal }: { readonly session: TurnSession; readonly signal: AbortSignal },
): Promise<PromptContext> {
  const isAlone = request.verbatim || request.hasOwnHistory;
  // What was begun within the quotas comes to its end.
  const payerId = request.continues ? undefined : payerOf(request);
  const recalled = Promise.all([
    isAlone ? session : contextOf(session, parts.history),
    isAlone ? undefined : recallMemory(parts, request, signal),
    // What the device has used in the day, before it uses more.
    payerId === undefined ? undefined : parts.quotas?.recall(payerId, signal),
  ]);
  const [earlier, memory] = await abortable(recalled, signal);
  if (!request.continues) return { ...earlier, ...memory };
  // The instance before may have kept what it said of this turn.
  const { history = [], ...rest }: PromptContext = earlier;
  const others = history.filter(({ turnId }) => turnId !== request.turnId);
  return { ...rest, ...memory, ...(others.length > 0 && { history: others }) };
}

/** What the prompt gets of the device's memory, if there is something. */
async function recallMemory(
  { memory }: AdmissionParts,
  { deviceId, verbatim, prompt }: TurnRequest,
  signal: AbortSignal,
): Promise<Pick<PromptContext, "memory">> {
  if (!memory || deviceId === undefined || verbatim) return {};
  const text = await memory.recall(deviceId, prompt.text, signal);
  return text === undefined ? {} : { memory: text };
}

/** What it gets of the session. */
export async function contextOf(
  { deviceId, sessionId }: TurnSession,
  history: History,
): Promise<PromptContext> {
  if (deviceId === undefined) return { sessionId };
  const earlier = await history.recall({ deviceId, sessionId });
  return { deviceId, sessionId, ...(earlier.length > 0 && { history: earlier }) };
}
