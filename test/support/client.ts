import type { StreamResponse } from "../../gen/streaming/streaming_pb.ts";
import type { Gateway } from "./gateway.ts";

/** What a client asks. */
export type Ask = {
  readonly prompt: string;
  readonly deviceId: string;
  readonly sessionId?: string;
};

/** What a client got: one message of the stream, as the client itself read it. */
export type Step =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "audio"; readonly chunk: AudioStep }
  | { readonly type: "end"; readonly message: string }
  | { readonly type: "error"; readonly message: string };

/** A chunk of the voice. */
type AudioStep = {
  readonly bytes: Uint8Array;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly sampleRate: number;
  readonly channels: number;
};

/** What `InterruptSession` answered. */
type Interrupted = {
  readonly success: boolean;
  readonly interruptedSessions: readonly string[];
};

/** A client library or program, as the suite calls it. */
export type ClientUnderTest = {
  readonly name: string;
  /** True if this machine lacks it. In CI that fails instead. */
  readonly missing?: boolean;
  /** True if it hands the messages over only when the stream has ended. */
  readonly collects?: boolean;
  /** True if it does not show the trailers of a call that failed. */
  readonly hidesTrailers?: boolean;
  connect(gateway: Gateway): ConnectedClient;
};

/** A client that knows its gateway. */
export type ConnectedClient = Disposable & {
  /**
   * Runs a turn. When the signal fires it cancels as this client does, and throws. Throws
   * `CallFailed` for a status other than OK.
   */
  turn(ask: Ask, signal: AbortSignal): AsyncIterable<Step>;
  interrupt(deviceId: string): Promise<Interrupted>;
};

/** The status of a call that failed, as the client showed it. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  /** In Connect's spelling: `canceled`, `invalid_argument`. */
  readonly code: string;
  /** The trailer `parley-reason`. */
  readonly reason: string | undefined;

  constructor(code: string, message: string, reason?: string) {
    super(`${code}: ${message}`);
    this.code = code;
    this.reason = reason;
  }
}

/** A message of the stream as a step. */
export function toStep({ content }: StreamResponse): Step {
  switch (content.case) {
    case "textChunk":
      return { type: "text", text: content.value };
    case "audioChunk": {
      const { audioData: bytes, dtype, shape, sampleRate, channels } = content.value;
      return { type: "audio", chunk: { bytes, dtype, shape, sampleRate, channels } };
    }
    case "endMessage":
      return { type: "end", message: content.value };
    case "errorMessage":
      return { type: "error", message: content.value };
    default:
      throw new Error("the client read a message without content");
  }
}
