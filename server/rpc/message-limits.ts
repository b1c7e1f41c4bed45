import type { DescMethod, DescService } from "@bufbuild/protobuf";

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/** The largest request message of a method, in bytes, by the form in which it comes. */
export type MessageLimits = {
  /** Binary, as it is on the wire. */
  readonly binaryBytes: number;
  /** Binary, after gzip was undone. */
  readonly inflatedBytes: number;
  /** JSON, as it is on the wire or after gzip was undone. */
  readonly jsonBytes: number;
};

/** A method that is served, and what its request may be. */
export type LimitedMethod = { readonly method: DescMethod; readonly limits: MessageLimits };

const sameInEveryForm = (bytes: number): MessageLimits => ({
  binaryBytes: bytes,
  inflatedBytes: bytes,
  jsonBytes: bytes,
});

/** What a method without a row takes. */
const defaultMessageLimits: MessageLimits = sameInEveryForm(64 * KIBIBYTE);

/**
 * A row for each method that is served: a little above the largest message that its contract
 * allows. In JSON each byte of a text may be an escape of six, so that 64 KiB of text need 384 KiB.
 * `MAX_MESSAGE_BYTES` bounds every number here.
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
  "grpc.health.v1.Health/Check": defaultMessageLimits,
  "grpc.health.v1.Health/Watch": defaultMessageLimits,
};

/** The methods of some services by their paths, "/package.Service/Method". */
export function limitMethods(
  services: readonly DescService[],
  maxMessageBytes: number,
): ReadonlyMap<string, LimitedMethod> {
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
