import { TurnCancelled } from "../core/async.ts";
import type { Tier } from "../failover/tier.ts";
import { checkVoiceName, overloadOf } from "../failover/voices.ts";
import type { Quotas } from "../limits/quotas.ts";
import type { PromptContext } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import type { TurnObserver } from "../telemetry/turn-observer.ts";
import type { ActiveTurns } from "./active-turns.ts";
import type { CollectedPrompts } from "./collected-prompts.ts";
import type { History } from "./history.ts";
import type { UserMemory } from "./memory/memory.ts";
import type { Screenshots } from "./screenshots.ts";
import type { Sessions } from "./sessions.ts";
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
  };
};

/** Lists the turn and gives it its session, and what was collected and prepared for it. */
export function admit(
  parts: AdmissionParts,
  request: TurnRequest,
  { clientSignal, listener }: AdmittedClient,
) {
  const { name: voice } = request.voice;
  // A text without a device is an older client's: it may name any voice, and hears the one there is.
  if (voice && request.deviceId !== undefined) checkVoiceName(parts.synthesizers, voice);
  const payerId = payerOf(request);
  if (payerId !== undefined) parts.quotas?.check(payerId);
  const overload = request.textOnly ? undefined : overloadOf(parts.synthesizers);
  if (overload) throw overload;
  const { collectedPrompts, sessions, history } = parts;
  const { deviceId, collected } = request;
  const sessionId = sessions.idOf(request);
  const turn = begin(parts, { ...request, sessionId }, clientSignal);
  listener.onBegin?.({ turnId: request.turnId, sessionId });
  if (deviceId === undefined) {
    const finish = (_report: TurnReport, _reply: string) => turn.end();
    return { ...turn, session: { sessionId }, kept: undefined, finish };
  }
  const session = { deviceId, sessionId };
  const isCurrent = request.sessionId === undefined;
  if (isCurrent) sessions.continue(session);
  if (collected) collectedPrompts.remove(session, collected);
  const releasePrepared = sessions.takePrepared(session);
  const kept = history.begin({
    ...session,
    id: request.turnId,
    // A text that is spoken verbatim is not what the user said, nor a model's answer to it. A client
    // that keeps the conversation tells it anew with each turn.
    ...(!request.verbatim && !request.hasOwnHistory && { prompt: request.prompt.text }),
  });
  keepScreenshot(parts, deviceId, request);
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

/** The device whose quotas a turn counts for. Undefined: nobody's. */
export function payerOf({ deviceId, payerId }: TurnRequest): string | undefined {
  return deviceId ?? payerId;
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

/** Lists the turn. What was collected for one that was interrupted before it came goes with it. */
function begin(
  { activeTurns, collectedPrompts }: AdmissionParts,
  turn: TurnRequest & { readonly sessionId: string },
  clientSignal: AbortSignal,
) {
  try {
    return activeTurns.begin(turn, clientSignal);
  } catch (error) {
    const isInterrupted = error instanceof TurnCancelled && error.reason === "interrupted";
    const { deviceId, sessionId, collected } = turn;
    if (isInterrupted && deviceId && collected) {
      collectedPrompts.remove({ deviceId, sessionId }, collected);
    }
    throw error;
  }
}

type TurnSession = { readonly deviceId?: string; readonly sessionId: string };

/** What the prompt gets of the device's memory, if there is something. */
export async function recallMemory(
  { memory }: AdmissionParts,
  { deviceId, verbatim, prompt }: TurnRequest,
  signal: AbortSignal,
): Promise<Pick<PromptContext, "memory">> {
  if (!memory || deviceId === undefined || verbatim) return {};
  const text = await memory.recall(deviceId, prompt.text, signal);
  return text === undefined ? {} : { memory: text };
}

/** What a language model gets beside the user's words. */
export async function contextOf(
  { deviceId, sessionId }: TurnSession,
  history: History,
): Promise<PromptContext> {
  if (deviceId === undefined) return { sessionId };
  const earlier = await history.recall({ deviceId, sessionId });
  return { deviceId, sessionId, ...(earlier.length > 0 && { history: earlier }) };
}
