import type { CallEnd, CallStart, TurnIds } from "./activity.ts";
import { attributes as at, operations, outputTypes, rpcSystems } from "./semantic-names.ts";
import type { RequestEnd, TierOrigin, TracedRequest } from "./tracing.ts";

/** What is said of a span or a measurement. */
type Said = Record<string, string | number | boolean | string[]>;

/** Statuses that are the server's own fault, as the conventions have it. */
const serverErrors = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** What a request says from its start: `known` belongs to measurements as well. */
export function requestAttributes({ rpc, httpMethod, path, requestId }: TracedRequest) {
  const known: Said = rpc
    ? { [at.rpcSystem]: rpcSystems[rpc.system], [at.rpcMethod]: rpc.method }
    : { [at.httpMethod]: httpMethod };
  return { known, own: { ...(!rpc && { [at.urlPath]: path }), [at.requestId]: requestId } };
}

/** How a request ended. */
export function requestEndAttributes(end: RequestEnd) {
  const { rpcStatus, httpStatus } = end;
  const isError = rpcStatus ? serverErrors.has(rpcStatus) : httpStatus >= 500;
  const type = isError ? (rpcStatus ?? String(httpStatus)) : leftEarly(end);
  const status: Said = rpcStatus ? { [at.rpcStatus]: rpcStatus } : { [at.httpStatus]: httpStatus };
  const known = { ...status, ...(type && { [at.errorType]: type }) };
  return { isError, known, own: rpcStatus ? { [at.rpcStatusBefore]: rpcStatus } : {} };
}

/** Of an RPC its status says so. */
function leftEarly({ rpcStatus, isCut }: RequestEnd): string | undefined {
  return rpcStatus === undefined && isCut ? "disconnected" : undefined;
}

/** Whose a turn is. */
export function turnAttributes({ sessionId, turnId, requestId }: TurnIds): Said {
  return {
    [at.operation]: operations.turn,
    [at.provider]: "parley",
    [at.agentName]: "parley",
    [at.requestStream]: true,
    [at.conversation]: sessionId,
    [at.turnId]: turnId,
    ...(requestId !== undefined && { [at.requestId]: requestId }),
  };
}

/** What a call of a tier says from its start: `known` belongs to measurements as well. */
export function callAttributes(
  { tier, kind }: CallStart,
  { provider, model }: TierOrigin,
  { sessionId }: TurnIds,
) {
  const known: Said = {
    [at.operation]: operations[kind],
    [at.provider]: provider,
    ...(model !== undefined && { [at.requestModel]: model }),
  };
  const own: Said = {
    [at.requestStream]: true,
    [at.outputType]: outputTypes[kind],
    [at.conversation]: sessionId,
    [at.tier]: tier,
  };
  const name = [operations[kind], model].filter((part) => part !== undefined).join(" ");
  return { name, known, own };
}

/** How a call ended: `known` belongs to measurements as well. */
export function callEndAttributes(end: CallEnd) {
  const { error, isCancelled, firstPartMs, characters, audioSeconds, facts = {} } = end;
  const { inputTokens, outputTokens, finishReason } = facts;
  const type = error?.kind ?? (isCancelled ? "cancelled" : undefined);
  const known: Said = type === undefined ? {} : { [at.errorType]: type };
  const own: Said = {
    ...(firstPartMs !== undefined && { [at.timeToFirstChunk]: firstPartMs / 1000 }),
    ...(inputTokens !== undefined && { [at.inputTokens]: inputTokens }),
    ...(outputTokens !== undefined && { [at.outputTokens]: outputTokens }),
    ...(finishReason !== undefined && { [at.finishReasons]: [finishReason] }),
    [at.characters]: characters,
    ...(audioSeconds > 0 && { [at.audioSeconds]: audioSeconds }),
  };
  return { known, own };
}
