import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type InterruptRequest,
  RequestPhase,
  type StreamingService,
  type StreamRequest,
  type StreamResponseSchema,
  type UsageRequest,
  type WelcomeRequest,
  type WelcomeResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { parseDeviceId } from "../conversation/sessions.ts";
import { parsePiece, parseTurn, parseWelcome } from "../conversation/turn-request.ts";
import { parseUsage } from "../conversation/usage-report.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { UsageCounts } from "../telemetry/usage.ts";
import { audioMessage, type ChunkFields, streamNumbers, welcomeNumbers } from "./chunk-encoder.ts";
import { connectionKey } from "./connection-key.ts";
import { type ResponseWire, responseWireKey } from "./response-wire.ts";
import { endsSilently, toStatus } from "./status.ts";

type StreamStep = MessageInitShape<typeof StreamResponseSchema>;
type WelcomeStep = MessageInitShape<typeof WelcomeResponseSchema>;

/**
 * The service of proto/streaming. It translates between its messages and the conversation, and counts
 * the usage that clients report.
 */
export function createStreamingService(
  conversation: Conversation,
  usage: UsageCounts,
): ServiceImpl<typeof StreamingService> {
  const streamAudio = (request: StreamRequest, { signal, values }: HandlerContext) =>
    respond<StreamStep>({ signal, wire: values.get(responseWireKey) }, () => {
      const phase = phaseOf(request);
      if (phase === "collect") {
        conversation.collect(parsePiece(pieceFields(request)));
        return { ...streamShape, batches: [], end: () => [endStep("COLLECT_ACCEPTED")] };
      }
      // The turn starts with the first pull, before any other request can run: only this turn gets the
      // collected pieces.
      const turn = parseTurn({ ...streamFields(request), phase }, conversation.collected);
      return {
        ...streamShape,
        batches: conversation.talk({ ...turn, connection: values.get(connectionKey) }, signal),
        end: () => [endStep(turn.verbatim ? "greeting_done" : "done")],
      };
    });

  const generateWelcomeAudio = (request: WelcomeRequest, { signal, values }: HandlerContext) =>
    respond<WelcomeStep>({ signal, wire: values.get(responseWireKey) }, () => {
      const turn = parseWelcome({
        text: request.text,
        session_id: request.sessionId,
        voice: request.voice,
        language: request.language,
      });
      let method = "";
      let samples = 0;
      return {
        fields: welcomeNumbers,
        batches: conversation.talk({ ...turn, connection: values.get(connectionKey) }, signal),
        see(chunk) {
          if (chunk.type === "text") return;
          method = chunk.synthesizer;
          samples += chunk.pcm.length;
        },
        step: welcomeStep,
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

function streamFields(request: StreamRequest) {
  return {
    prompt: request.prompt,
    hardware_id: request.hardwareId,
    session_id: request.sessionId,
    screenshot: request.screenshot,
    screen_width: request.screenWidth,
    screen_height: request.screenHeight,
  };
}

function pieceFields(request: StreamRequest) {
  return {
    ...streamFields(request),
    chunk_seq: request.chunkSeq,
    chunk_text: request.chunkText,
  };
}

/** Enums of proto3 are open: a client may send any number. */
function phaseOf({ phase }: StreamRequest): "collect" | "commit" | undefined {
  switch (phase) {
    case RequestPhase.UNSPECIFIED:
      return undefined;
    case RequestPhase.COLLECT:
      return "collect";
    case RequestPhase.COMMIT:
      return "commit";
    default:
      throw new InvalidRequest("phase", "must be UNSPECIFIED (0), COLLECT (1) or COMMIT (2)");
  }
}

function streamStep(chunk: TurnChunk): StreamStep {
  return chunk.type === "text"
    ? { content: { case: "textChunk", value: chunk.text } }
    : { content: { case: "audioChunk", value: audioMessage(chunk) } };
}

const streamShape = { fields: streamNumbers, step: streamStep, see: () => undefined };

function welcomeStep(chunk: TurnChunk): WelcomeStep | undefined {
  if (chunk.type === "text") return undefined;
  return { content: { case: "audioChunk", value: audioMessage(chunk) } };
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

/** The parts of a streamed response. */
type Response<Step> = {
  readonly batches: AsyncIterable<readonly TurnChunk[]> | readonly (readonly TurnChunk[])[];
  /** The field numbers of chunks, for the response wire. */
  readonly fields: ChunkFields;
  /** Called with each chunk before it is sent. */
  see(chunk: TurnChunk): void;
  /** A chunk's message, if it has one. */
  step(chunk: TurnChunk): Step | undefined;
  /** The messages after the last chunk. */
  end(): readonly Step[];
};

/**
 * Sends a response and ends it as the contract says: an error before the first message is only a
 * status; after it, an `error_message` comes first, unless the turn was interrupted or left.
 */
async function* respond<Step>(
  { signal, wire }: { readonly signal: AbortSignal; readonly wire: ResponseWire | undefined },
  begin: () => Response<Step>,
): AsyncGenerator<Step | ErrorStep> {
  let begun = false;
  try {
    const { batches, fields, see, step, end } = begin();
    for await (const batch of batches) {
      for (const [index, chunk] of batch.entries()) {
        // When connect-node asks for a second message, it has sent the header. From then on chunks go
        // directly to the response, except the last messages.
        if (begun && wire) {
          const rest = batch.slice(index);
          rest.forEach(see);
          await wire.write(rest, fields, signal);
          break;
        }
        see(chunk);
        const message = step(chunk);
        if (message === undefined) continue;
        begun = true;
        yield message;
      }
    }
    yield* end();
  } catch (error) {
    const status = clientStatus(signal) ?? toStatus(error);
    if (begun && !endsSilently(error)) {
      yield { content: { case: "errorMessage", value: status.rawMessage } };
    }
    throw status;
  }
}

/** The client's own deadline or reset says more than "the client disconnected". */
function clientStatus(signal: AbortSignal): ConnectError | undefined {
  return signal.reason instanceof ConnectError ? signal.reason : undefined;
}
