import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type AudioChunkSchema,
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
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { AudioChunk } from "../failover/speech.ts";
import type { UsageCounts } from "../telemetry/usage.ts";
import { connectionKey } from "./connection-key.ts";
import { type ResponseWire, responseWireKey } from "./response-wire.ts";
import { clientStatus, endsSilently, toStatus } from "./status.ts";

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
    interruptSession: (request) => answer(() => interruptSession(conversation, request)),
    reportUsage: (request) => answer(() => reportUsage(usage, request)),
  };
}

/** Answers a unary call, or throws the status of its error. */
function answer<Answer>(call: () => Answer): Answer {
  try {
    return call();
  } catch (error) {
    throw toStatus(error);
  }
}

function interruptSession(conversation: Conversation, request: InterruptRequest) {
  const interrupted = conversation.interrupt(parseDeviceId(request.hardwareId));
  return {
    success: true,
    interruptedSessions: [...interrupted],
    message: interruptMessage(interrupted.length),
  };
}

function reportUsage(usage: UsageCounts, request: UsageRequest) {
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
  const message = `recorded ${inputTokens} input and ${outputTokens} output tokens`;
  return { success: true, message };
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
  const { chunkSeq: chunk_seq, chunkText: chunk_text } = request;
  return { ...streamFields(request), chunk_seq, chunk_text };
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

/** The message for a chunk of audio, for connect-node to encode. It shares the samples' memory. */
export function audioMessage({
  pcm,
  words = [],
}: AudioChunk): MessageInitShape<typeof AudioChunkSchema> {
  return {
    audioData: bytesOf(pcm) as Uint8Array<ArrayBuffer>,
    ...format,
    shape: [pcm.length],
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: BigInt(startSample),
      endSample: BigInt(endSample),
    })),
  };
}

const streamShape = { step: streamStep, see: () => undefined };

function welcomeStep(chunk: TurnChunk): WelcomeStep | undefined {
  if (chunk.type === "text") return undefined;
  return { content: { case: "audioChunk", value: audioMessage(chunk) } };
}

function welcomeMetadata(method: string, samples: number) {
  return { method, durationSec: samples / outputRateHz, ...format };
}

/** The format of all audio. */
const format = { dtype: "int16", sampleRate: outputRateHz, channels: 1 };

const endStep = (value: string) => ({ content: { case: "endMessage", value } }) as const;

type ErrorStep = { content: { case: "errorMessage"; value: string } };

/** The parts of a streamed response. */
type Response<Step> = {
  readonly batches: AsyncIterable<readonly TurnChunk[]> | readonly (readonly TurnChunk[])[];
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
    const { batches, see, step, end } = begin();
    for await (const batch of batches) {
      for (const [index, chunk] of batch.entries()) {
        // When connect-node asks for a second message, it has sent the header. From then on chunks go
        // directly to the response, except the last messages.
        if (begun && wire) {
          const rest = batch.slice(index);
          rest.forEach(see);
          await wire.write(rest, signal);
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
