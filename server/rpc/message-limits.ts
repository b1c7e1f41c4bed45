import type { DescMethod, DescService } from "@bufbuild/protobuf";

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/** The largest request message of a method, in bytes, by its encoding. */
export type MessageLimits = {
  /** Binary, as on the wire. */
  readonly binaryBytes: number;
  /** Binary, after inflating. */
  readonly inflatedBytes: number;
  /** JSON, as on the wire or after inflating. */
  readonly jsonBytes: number;
};

/** A served method and the limits of its request. */
export type ServedMethod = { readonly method: DescMethod; readonly limits: MessageLimits };

const sameInEveryForm = (bytes: number): MessageLimits => ({
  binaryBytes: bytes,
  inflatedBytes: bytes,
  jsonBytes: bytes,
});

/** The limits of a method without a row. */
const defaultMessageLimits: MessageLimits = sameInEveryForm(64 * KIBIBYTE);

/**
 * A row for each served method, a little above the largest message that its contract allows. In JSON
 * an escape takes up to six bytes, so 64 KiB of text may take 384 KiB. `MAX_MESSAGE_BYTES` caps every
 * number here.
 */
export const messageLimits: Readonly<Record<string, MessageLimits>> = {
  "streaming.StreamingService/StreamAudio": {
    binaryBytes: Number.POSITIVE_INFINITY,
    inflatedBytes: 12 * MEBIBYTE,
    jsonBytes: 12 * MEBIBYTE,
  },
  "streaming.StreamingService/InterruptSession": sameInEveryForm(4 * KIBIBYTE),
  "streaming.StreamingService/GenerateWelcomeAudio": {
    binaryBytes: 96 * KIBIBYTE,
    inflatedBytes: 96 * KIBIBYTE,
    jsonBytes: 512 * KIBIBYTE,
  },
  "streaming.StreamingService/ReportUsage": defaultMessageLimits,
  "parley.v1.ConversationService/ListMemories": defaultMessageLimits,
  "parley.v1.ConversationService/ForgetMemory": sameInEveryForm(512 * KIBIBYTE),
  "parley.v1.ConversationService/ReportPlayback": sameInEveryForm(4 * KIBIBYTE),
  ...agentLimits(defaultMessageLimits, [
    "HealthCheck",
    "GetContext",
    "ListFiles",
    "DesktopClick",
    "DesktopType",
    "BrowserNavigate",
    "BrowserClick",
    "BrowserGetHTML",
  ]),
  // How long their texts may be is the agent's matter.
  ...agentLimits(sameInEveryForm(MEBIBYTE), [
    "ProcessPrompt",
    "ProcessStreamingPrompt",
    "SetContext",
    "CallCustomFunction",
  ]),
  // A longer string of JSON is read apart from its message, which bytes cannot be.
  ...agentLimits(
    { binaryBytes: 12 * MEBIBYTE, inflatedBytes: 12 * MEBIBYTE, jsonBytes: 256 * KIBIBYTE },
    ["ProcessFile"],
  ),
  "audioanalyzer.AudioAnalysis/AnalyzeAudio": sameInEveryForm(8 * KIBIBYTE),
  "grpc.health.v1.Health/Check": defaultMessageLimits,
  "grpc.health.v1.Health/Watch": defaultMessageLimits,
  // Names of the contract.
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": sameInEveryForm(4 * KIBIBYTE),
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": sameInEveryForm(4 * KIBIBYTE),
};

function agentLimits(
  limits: MessageLimits,
  names: readonly string[],
): Readonly<Record<string, MessageLimits>> {
  return Object.fromEntries(
    names.map((name) => [`neira.agent.PythonAgentService/${name}`, limits]),
  );
}

/** The methods of these services by path, "/package.Service/Method". */
export function limitMethods(
  services: readonly DescService[],
  maxMessageBytes: number,
): ReadonlyMap<string, ServedMethod> {
  const bounded = (limits: MessageLimits): MessageLimits => ({
    binaryBytes: Math.min(limits.binaryBytes, maxMessageBytes),
    inflatedBytes: Math.min(limits.inflatedBytes, maxMessageBytes),
    jsonBytes: Math.min(limits.jsonBytes, maxMessageBytes),
  });
  return new Map(
    services
      .flatMap((service) => service.methods)
      .map((method) => {
        const name = `${method.parent.typeName}/${method.name}`;
        return [
          `/${name}`,
          { method, limits: bounded(messageLimits[name] ?? defaultMessageLimits) },
        ];
      }),
  );
}
