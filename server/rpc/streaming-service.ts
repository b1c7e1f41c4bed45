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
import { parseDeviceId } from "../conversation/fields.ts";
import type { TurnChunk } from "../conversation/turn.ts";
import { parsePiece, parseTurn, parseWelcome } from "../conversation/turn-request.ts";
import { parseUsage } from "../conversation/usage-report.ts";
import { outputRateHz } from "../core/audio/to-48k.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { UsageCounts } from "../telemetry/usage.ts";
import { audioMessage } from "./audio-message.ts";
import { type ChunkFields, streamNumbers, welcomeNumbers } from "./chunk-encoder.ts";
import { connectionKey } from "./connection-key.ts";
import { type ResponseWire, responseWire } from "./response-wire.ts";
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
    respond<StreamStep>({ signal, wire: values.get(responseWire) }, () => {
      const phase = phaseOf(request);
      if (phase === "collect") {
        conversation.collect(parsePiece(pieceFields(request)));
        return { ...streamShape, batches: [], end: () => [endStep("COLLECT_ACCEPTED")] };
      }
      // The turn begins when its first chunk is asked for, before anybody else may be at work here:
      // what was collected goes to this turn alone.
      const turn = parseTurn({ ...streamFields(request), phase }, conversation.collected);
      return {
        ...streamShape,
        batches: conversation.talk({ ...turn, connection: values.get(connectionKey) }, signal),
        end: () => [endStep(turn.verbatim ? "greeting_done" : "done")],
      };
    });

  const generateWelcomeAudio = (request: WelcomeRequest, { signal, values }: HandlerContext) =>
    respond<WelcomeStep>({ signal, wire: values.get(responseWire) }, () => {
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

/** An enum of proto3 is open: a client may send any number. */
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

/** What a stream is made of. */
type Response<Step> = {
  readonly batches: AsyncIterable<readonly TurnChunk[]> | readonly (readonly TurnChunk[])[];
  /** The fields that hold chunks, for the way past connect-node. */
  readonly fields: ChunkFields;
  /** Told of each chunk before it is sent. */
  see(chunk: TurnChunk): void;
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
  { signal, wire }: { readonly signal: AbortSignal; readonly wire: ResponseWire | undefined },
  begin: () => Response<Step>,
): AsyncGenerator<Step | ErrorStep> {
  let begun = false;
  try {
    const { batches, fields, see, step, end } = begin();
    for await (const batch of batches) {
      for (const [index, chunk] of batch.entries()) {
        // connect-node has sent the header once it asks for a second message: from then on chunks go
        // straight to the response, until connect-node is given the last messages.
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
