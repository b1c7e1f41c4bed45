import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import {
  StreamingService,
  type StreamRequestSchema,
  type StreamResponse,
} from "../../gen/streaming/streaming_pb.ts";
import type { CommandLine, Protocol } from "./command-line.ts";

/** A step of the reply: a piece of its text, or of its audio (48 kHz mono s16le). */
export type ReplyStep =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "audio"; readonly bytes: Uint8Array };

/**
 * Asks the gateway and yields the reply as it arrives. Throws a `ConnectError` if the call fails,
 * also when the signal fires. The call ends when the reader leaves.
 */
export async function* openReply(
  command: CommandLine,
  signal: AbortSignal,
): AsyncGenerator<ReplyStep> {
  // Leaving a `for await` does not cancel an RPC. Aborting its signal does.
  const left = new AbortController();
  const call = { signal: AbortSignal.any([signal, left.signal]) };
  try {
    yield* command.greeting ? greet(command, call) : answer(command, call);
  } finally {
    left.abort();
  }
}

type Call = { readonly signal: AbortSignal };

async function* answer(command: CommandLine, call: Call): AsyncGenerator<ReplyStep> {
  const client = createClient(StreamingService, openTransport(command.protocol, command.to));
  for await (const { content } of streamThrough(client, command, call)) {
    if (content.case === "textChunk") yield { type: "text", text: content.value };
    if (content.case === "audioChunk") yield { type: "audio", bytes: content.value.audioData };
  }
}

/** How long the gateway keeps a turn for a client that lost its connection, in milliseconds. */
const GRACE_MS = 30_000;
const RETRY_EVERY_MS = 200;

/** The messages of one turn, each once, through lost connections. A reader that leaves ends the turn. */
async function* streamThrough(
  client: Client<typeof StreamingService>,
  { text, device }: CommandLine,
  call: Call,
): AsyncGenerator<StreamResponse> {
  const turn = { hardwareId: device, turnId: randomUUID() };
  let request: Request = { ...turn, prompt: text, resumable: true };
  let lost: Loss | undefined;
  let isOver = false;
  try {
    while (!isOver) {
      try {
        for await (const message of client.streamAudio(request, call)) {
          lost = undefined;
          request = behind(request, message);
          yield message;
        }
        isOver = true;
      } catch (error) {
        lost ??= { error, atMs: performance.now() };
        isOver = !isLost(error);
        throwUnlessLost(error, lost, request);
        await sleep(RETRY_EVERY_MS, undefined, call);
      }
    }
  } finally {
    // To the gateway, a call that is cancelled is a lost connection.
    if (!isOver) await client.interruptSession(turn, { timeoutMs: 1000 }).catch(() => undefined);
  }
}

type Request = MessageInitShape<typeof StreamRequestSchema>;
/** The connection was lost, and nothing has come since. */
type Loss = { readonly error: unknown; readonly atMs: number };

/** The request for what follows a message; an error message has no number. */
function behind(request: Request, { sequence }: StreamResponse): Request {
  return sequence > 0n ? { ...request, resumeAfter: sequence } : request;
}

/** Throws what the user should read, unless the gateway may still have the turn. */
function throwUnlessLost(error: unknown, lost: Loss, { resumeAfter }: Request): void {
  if (isNotKept(error)) throw lost.error;
  const isInTime = performance.now() - lost.atMs < GRACE_MS;
  if (!isLost(error) || resumeAfter === undefined || !isInTime) throw error;
}

/** True if the connection broke: no status came from the gateway. */
function isLost(error: unknown): boolean {
  return error instanceof ConnectError && !error.isWireError;
}

/** The gateway was started again meanwhile, or keeps the turn no longer. */
function isNotKept(error: unknown): boolean {
  return error instanceof ConnectError && error.isWireError && error.code === Code.NotFound;
}

async function* greet(command: CommandLine, call: Call): AsyncGenerator<ReplyStep> {
  const client = createClient(StreamingService, openTransport(command.protocol, command.to));
  const request = { text: command.text, ...(command.voice && { voice: command.voice }) };
  // The gateway does not send a greeting's text back: it is what was asked for.
  yield { type: "text", text: command.text };
  for await (const { content } of client.generateWelcomeAudio(request, call)) {
    if (content.case === "audioChunk") yield { type: "audio", bytes: content.value.audioData };
  }
}

function openTransport(protocol: Protocol, baseUrl: string): Transport {
  switch (protocol) {
    case "grpc":
      return createGrpcTransport({ baseUrl });
    case "grpc-web":
      return createGrpcWebTransport({ baseUrl, httpVersion: "1.1" });
    case "connect":
      return createConnectTransport({ baseUrl, httpVersion: "1.1" });
  }
}
