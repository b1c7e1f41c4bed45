import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type {
  InterruptRequest,
  StreamingService,
  StreamRequest,
  StreamResponseSchema,
  UsageRequest,
  WelcomeRequest,
  WelcomeResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import { parseDeviceId } from "../conversation/fields.ts";
import type { TurnChunk } from "../conversation/turn.ts";
import { parseTurn, parseWelcome } from "../conversation/turn-request.ts";
import { parseUsage } from "../conversation/usage-report.ts";
import { outputRateHz } from "../core/pcm/to-48k.ts";
import type { UsageCounts } from "../telemetry/usage.ts";
import { audioMessage } from "./audio-message.ts";
import { connectionKey } from "./connection-key.ts";
import { toStatus, wantsSilence } from "./status.ts";

type StreamStep = MessageInitShape<typeof StreamResponseSchema>;
type WelcomeStep = MessageInitShape<typeof WelcomeResponseSchema>;

/**
 * The service of proto/streaming over a conversation and the counts of what clients report:
 * translates messages, and nothing else.
 */
export function createStreamingService(
  conversation: Conversation,
  usage: UsageCounts,
): ServiceImpl<typeof StreamingService> {
  const streamAudio = (request: StreamRequest, { signal, values }: HandlerContext) =>
    respond<StreamStep>(signal, () => {
      const turn = parseTurn({
        prompt: request.prompt,
        hardware_id: request.hardwareId,
        session_id: request.sessionId,
        screenshot: request.screenshot,
        screen_width: request.screenWidth,
        screen_height: request.screenHeight,
      });
      return {
        chunks: conversation.talk({ ...turn, connection: values.get(connectionKey) }, signal),
        step: streamStep,
        end: () => [endStep(turn.verbatim ? "greeting_done" : "done")],
      };
    });

  const generateWelcomeAudio = (request: WelcomeRequest, { signal, values }: HandlerContext) =>
    respond<WelcomeStep>(signal, () => {
      const turn = parseWelcome({
        text: request.text,
        session_id: request.sessionId,
        voice: request.voice,
        language: request.language,
      });
      let method = "";
      let samples = 0;
      return {
        chunks: conversation.talk({ ...turn, connection: values.get(connectionKey) }, signal),
        step(chunk) {
          if (chunk.type === "text") return undefined;
          method = chunk.synthesizer;
          samples += chunk.pcm.length;
          return { content: { case: "audioChunk", value: audioMessage(chunk) } };
        },
        end: () => [
          { content: { case: "metadata", value: welcomeMetadata(method, samples) } },
          endStep("greeting_done"),
        ],
      };
    });

  return {
    streamAudio,
    generateWelcomeAudio,
    interruptSession: (request) => interruptSession(conversation, request),
    reportUsage: (request) => reportUsage(usage, request),
  };
}

function interruptSession(conversation: Conversation, request: InterruptRequest) {
  try {
    const interrupted = conversation.interrupt(parseDeviceId(request.hardwareId));
    return {
      success: true,
      interruptedSessions: [...interrupted],
      message: interruptMessage(interrupted.length),
    };
  } catch (error) {
    throw toStatus(error);
  }
}

function reportUsage(usage: UsageCounts, request: UsageRequest) {
  try {
    const report = parseUsage({
      hardware_id: request.hardwareId,
      session_id: request.sessionId,
      source: request.source,
      model: request.model,
      input_tokens: request.inputTokens,
      output_tokens: request.outputTokens,
    });
    usage.record(report);
    const { inputTokens, outputTokens } = report;
    return {
      success: true,
      message: `recorded ${inputTokens} input and ${outputTokens} output tokens`,
    };
  } catch (error) {
    throw toStatus(error);
  }
}

function interruptMessage(count: number): string {
  if (count === 0) return "nothing was in progress";
  return count === 1 ? "1 session was interrupted" : `${count} sessions were interrupted`;
}

function streamStep(chunk: TurnChunk): StreamStep {
  return chunk.type === "text"
    ? { content: { case: "textChunk", value: chunk.text } }
    : { content: { case: "audioChunk", value: audioMessage(chunk) } };
}

function welcomeMetadata(method: string, samples: number) {
  return {
    method,
    durationSec: samples / outputRateHz,
    sampleRate: outputRateHz,
    channels: 1,
    dtype: "int16",
  };
}

const endStep = (value: string) => ({ content: { case: "endMessage", value } }) as const;

type ErrorStep = { content: { case: "errorMessage"; value: string } };

/** What a stream is made of. */
type Response<Step> = {
  readonly chunks: AsyncIterable<TurnChunk>;
  /** A chunk's message, if it has one. */
  step(chunk: TurnChunk): Step | undefined;
  /** The messages after the last chunk. */
  end(): readonly Step[];
};

/**
 * Sends what `begin` answers, and ends the stream as the contract says: a failure before the first
 * message is a status alone; after it, an `error_message` comes first, unless silence was asked for.
 */
async function* respond<Step>(
  signal: AbortSignal,
  begin: () => Response<Step>,
): AsyncGenerator<Step | ErrorStep> {
  let begun = false;
  try {
    const { chunks, step, end } = begin();
    for await (const chunk of chunks) {
      const message = step(chunk);
      if (message === undefined) continue;
      begun = true;
      yield message;
    }
    yield* end();
  } catch (error) {
    const status = clientStatus(signal) ?? toStatus(error);
    if (begun && !wantsSilence(error)) {
      yield { content: { case: "errorMessage", value: status.rawMessage } };
    }
    throw status;
  }
}

/** The client's own deadline, or the reset that it sent, tells more than "the client left". */
function clientStatus(signal: AbortSignal): ConnectError | undefined {
  return signal.reason instanceof ConnectError ? signal.reason : undefined;
}
