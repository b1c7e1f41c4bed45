import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  AudioFormat,
  type InterruptRequest,
  RequestPhase,
  type StreamingService,
  type StreamRequest,
  type UsageRequest,
  type WelcomeRequest,
} from "../../gen/streaming/streaming_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { parseDeviceId, parseTurnId } from "../conversation/sessions.ts";
import type { TurnListener } from "../conversation/turn.ts";
import { parsePosition } from "../conversation/turn-position.ts";
import {
  parsePiece,
  parseTurn,
  parseWelcome,
  type TurnFields,
} from "../conversation/turn-request.ts";
import { parseUsage } from "../conversation/usage-report.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { Encoders } from "../encoding/encoders.ts";
import type { UsageReport } from "../telemetry/usage.ts";
import { callerKey, callSignal } from "./caller.ts";
import { connectionKey } from "./connection-key.ts";
import { encodeTurn } from "./opus-chunks.ts";
import { type Response, respond } from "./respond.ts";
import {
  endStep,
  type StreamStep,
  type WelcomeStep,
  welcomeMetadata,
  welcomeStep,
} from "./response-messages.ts";
import { responseWireKey } from "./response-wire.ts";
import { answer } from "./status.ts";
import { streamShape, withEnds } from "./turn-response.ts";

/** Counts a report. Resolves when it is stored, where it is. */
export type RecordUsage = (report: UsageReport) => Promise<void>;

/** What the service is made of. */
export type StreamingOptions = {
  readonly conversation: Conversation;
  readonly recordUsage: RecordUsage;
  readonly encoders: Encoders;
};

/**
 * The service of proto/streaming. It translates between its messages and the conversation, and passes
 * on the usage that clients report.
 */
export function createStreamingService({
  conversation,
  recordUsage,
  encoders,
}: StreamingOptions): ServiceImpl<typeof StreamingService> {
  const streamAudio = (request: StreamRequest, context: HandlerContext) => {
    const { values } = context;
    const signal = callSignal(context);
    return respond<StreamStep>({ signal, wire: values.get(responseWireKey) }, () => {
      const phase = phaseOf(request);
      if (phase === "collect") {
        conversation.collect(parsePiece(pieceFields(request)));
        return { ...streamShape, batches: [], end: () => [endStep("COLLECT_ACCEPTED")] };
      }
      const position = parsePosition(positionFields(request));
      if (position && (request.resumeAfter !== undefined || conversation.isKept(position))) {
        return withEnds((listener) => conversation.resume(position, signal, listener), false);
      }
      const format = wantsOpus(request) ? "opus" : undefined;
      // Of a turn that can be resumed the packets are kept as they were sent.
      if (request.resumable) {
        const fields = { ...turnFields(request), phase, audio_format: format } as const;
        return openTurn(conversation, fields, { signal, values, encode: undefined });
      }
      const encode =
        format &&
        ((batches: AsyncIterable<readonly TurnChunk[]>) => encodeTurn(batches, encoders, signal));
      return openTurn(conversation, { ...turnFields(request), phase }, { signal, values, encode });
    });
  };

  const generateWelcomeAudio = (request: WelcomeRequest, context: HandlerContext) => {
    const { values } = context;
    const signal = callSignal(context);
    return respond<WelcomeStep>({ signal, wire: values.get(responseWireKey) }, () => {
      const { deviceId: payerId } = values.get(callerKey);
      const turn = { ...parseWelcome(welcomeFields(request)), ...(payerId && { payerId }) };
      let method = "";
      let samples = 0;
      return {
        isPlain: () => true,
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
  };

  return {
    streamAudio,
    generateWelcomeAudio,
    interruptSession: (request, { values }) =>
      answer(() => interruptSession(conversation, request, values.get(callerKey).tokenId)),
    reportUsage: (request) => answer(() => reportUsage(recordUsage, request)),
  };
}

type TurnCall = Pick<HandlerContext, "signal" | "values"> & {
  /** Encodes the turn's sound; absent if it goes out as it is. */
  readonly encode:
    | ((batches: AsyncIterable<readonly TurnChunk[]>) => AsyncIterable<readonly TurnChunk[]>)
    | undefined;
};

/**
 * The turn starts with the first pull, before any other request can run: only this turn gets the pieces
 * that were collected.
 */
function openTurn(
  conversation: Conversation,
  fields: TurnFields,
  { signal, values, encode }: TurnCall,
): Response<StreamStep> {
  const turn = {
    ...parseTurn(fields, conversation.collected),
    connection: values.get(connectionKey),
  };
  const talk = (listener: TurnListener) => {
    const batches = conversation.talk(turn, signal, listener);
    return encode?.(batches) ?? batches;
  };
  return withEnds(talk, turn.verbatim);
}

async function interruptSession(
  conversation: Conversation,
  request: InterruptRequest,
  tokenId: string | undefined,
) {
  const { sessions, sentTurns, unacknowledged } = await conversation.interrupt(
    parseDeviceId(request.hardwareId),
    parseTurnId(request.turnId),
    tokenId,
  );
  return {
    success: true,
    interruptedSessions: [...sessions],
    message: interruptMessage(sessions.length),
    sentTurns: [...sentTurns],
    unacknowledged,
  };
}

async function reportUsage(recordUsage: RecordUsage, request: UsageRequest) {
  const report = parseUsage({
    hardware_id: request.hardwareId,
    session_id: request.sessionId,
    source: request.source,
    model: request.model,
    input_tokens: request.inputTokens,
    output_tokens: request.outputTokens,
  });
  await recordUsage(report);
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

function welcomeFields({ text, sessionId: session_id, voice, language }: WelcomeRequest) {
  return { text, session_id, voice, language };
}

function turnFields(request: StreamRequest) {
  const { voice, language, turnId: turn_id, leadMs: lead_ms, resumable } = request;
  return { ...streamFields(request), voice, language, turn_id, lead_ms, resumable };
}

function positionFields({ hardwareId, turnId, resumeAfter }: StreamRequest) {
  return { hardware_id: hardwareId, turn_id: turnId, resume_after: resumeAfter };
}

function pieceFields(request: StreamRequest) {
  const { chunkSeq: chunk_seq, chunkText: chunk_text } = request;
  return { ...streamFields(request), chunk_seq, chunk_text };
}

function wantsOpus({ audioFormat }: StreamRequest): boolean {
  if (audioFormat === AudioFormat.PCM_S16LE || audioFormat === AudioFormat.OPUS) {
    return audioFormat === AudioFormat.OPUS;
  }
  throw new InvalidRequest("audio_format", "must be PCM_S16LE (0) or OPUS (1)");
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
