/**
 * The names that spans and OTLP metrics use, all of them. `rpc.*` follows OpenTelemetry's stable RPC
 * conventions, `gen_ai.*` those of its GenAI repository (v0.1, in development: names may change there).
 */

/** Attributes of spans and metrics. */
export const attributes = {
  errorType: "error.type",
  rpcSystem: "rpc.system.name",
  rpcMethod: "rpc.method",
  rpcStatus: "rpc.response.status_code",
  /** The older name of `rpcStatus`, on spans alone. */
  rpcStatusBefore: "rpc.status_code",
  httpMethod: "http.request.method",
  httpStatus: "http.response.status_code",
  urlPath: "url.path",
  operation: "gen_ai.operation.name",
  provider: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  requestStream: "gen_ai.request.stream",
  finishReasons: "gen_ai.response.finish_reasons",
  /** Seconds. */
  timeToFirstChunk: "gen_ai.response.time_to_first_chunk",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  tokenType: "gen_ai.token.type",
  conversation: "gen_ai.conversation.id",
  outputType: "gen_ai.output.type",
  agentName: "gen_ai.agent.name",
  requestId: "parley.request.id",
  turnId: "parley.turn.id",
  outcome: "parley.turn.outcome",
  tier: "parley.tier",
  /** Characters that a voice was given, and seconds of sound that it made. */
  characters: "parley.characters",
  audioSeconds: "parley.audio.seconds",
} as const;

/** Values of `gen_ai.operation.name`. A voice generates content whose output type is speech. */
export const operations = {
  turn: "invoke_agent",
  text: "chat",
  speech: "generate_content",
} as const;

/** Values of `gen_ai.output.type`. */
export const outputTypes = { text: "text", speech: "speech" } as const;

/** Values of `rpc.system.name`. gRPC-Web is gRPC. */
export const rpcSystems = { grpc: "grpc", connect: "connectrpc" } as const;

/** Histograms, all in seconds but for the tokens. */
export const instruments = {
  rpcDuration: "rpc.server.call.duration",
  operationDuration: "gen_ai.client.operation.duration",
  timeToFirstChunk: "gen_ai.client.operation.time_to_first_chunk",
  tokenUsage: "gen_ai.client.token.usage",
} as const;

/** Events of a turn's span. */
export const turnEvents = { text: "first text", audio: "first sound" } as const;
