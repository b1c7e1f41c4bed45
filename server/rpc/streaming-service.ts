import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type {
  InterruptRequest,
  StreamingService,
  StreamRequest,
  StreamResponseSchema,
  WelcomeRequest,
  WelcomeResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import { parseDeviceId } from "../conversation/fields.ts";
import type { TurnChunk } from "../conversation/turn.ts";
import { parseTurn, parseWelcome } from "../conversation/turn-request.ts";
import { outputRateHz } from "../core/pcm/to-48k.ts";
import { audioMessage } from "./audio-message.ts";
import { toStatus, wantsSilence } from "./status.ts";

type StreamStep = MessageInitShape<typeof StreamResponseSchema>;
type WelcomeStep = MessageInitShape<typeof WelcomeResponseSchema>;

/** The service of proto/streaming over a conversation: translates messages, and nothing else. */
export function createStreamingService(
  conversation: Conversation,
): ServiceImpl<typeof StreamingService> {
  async function* streamAudio(
    request: StreamRequest,
    context: HandlerContext,
  ): AsyncGenerator<StreamStep> {
    const turn = parseTurn({
      prompt: request.prompt,
      hardware_id: request.hardwareId,
      session_id: request.sessionId,
      screenshot: request.screenshot,
      screen_width: request.screenWidth,
      screen_height: request.screenHeight,
    });
    for await (const chunk of conversation.talk(turn, context.signal)) yield streamStep(chunk);
    yield { content: { case: "endMessage", value: turn.verbatim ? "greeting_done" : "done" } };
  }

  async function* generateWelcomeAudio(
    request: WelcomeRequest,
    context: HandlerContext,
  ): AsyncGenerator<WelcomeStep> {
    const turn = parseWelcome({
      text: request.text,
      session_id: request.sessionId,
      voice: request.voice,
      language: request.language,
    });
    let method = "";
    let samples = 0;
    for await (const chunk of conversation.talk(turn, context.signal)) {
      if (chunk.type === "text") continue;
      method = chunk.synthesizer;
      samples += chunk.pcm.length;
      yield { content: { case: "audioChunk", value: audioMessage(chunk) } };
    }
    yield { content: { case: "metadata", value: welcomeMetadata(method, samples) } };
    yield { content: { case: "endMessage", value: "greeting_done" } };
  }

  return {
    streamAudio: (request, context) => withStatus(streamAudio(request, context), context.signal),
    generateWelcomeAudio: (request, context) =>
      withStatus(generateWelcomeAudio(request, context), context.signal),
    interruptSession: (request) => interruptSession(conversation, request),
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

type ErrorStep = { content: { case: "errorMessage"; value: string } };

/**
 * Ends a stream as the contract says: a failure before the first message is a status alone; after
 * it, an `error_message` comes first, unless silence was asked for.
 */
async function* withStatus<Step>(
  steps: AsyncIterable<Step>,
  signal: AbortSignal,
): AsyncGenerator<Step | ErrorStep> {
  let begun = false;
  try {
    for await (const step of steps) {
      begun = true;
      yield step;
    }
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
