import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckResponseSchema,
  type PromptRequest,
  PromptRequestSchema,
  PromptStreamResponseSchema,
} from "../gen/neira/agent/agent_pb.ts";
import { drip, type Emulator, type EmulatorScript, type Fault, paced } from "./script.ts";

/** A prompt that an agent got. */
type AgentEmulator = Emulator<PromptRequest> & {
  /** Its TCP port. An agent's process can pass its socket's bytes to it. */
  readonly port: number;
};

const service = "/neira.agent.PythonAgentService";
const GRPC = { ":status": 200, "content-type": "application/grpc+proto" } as const;

// Statuses of gRPC.
const OK = 0;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

/** Starts an agent's gRPC server on loopback. It is always healthy, and answers prompts by its script. */
export async function startAgentEmulator(): Promise<AgentEmulator> {
  const requests: PromptRequest[] = [];
  let script: EmulatorScript = {};
  let active = 0;

  const answer = async (stream: ServerHttp2Stream, path: string) => {
    const body = await buffer(stream);
    if (path === `${service}/HealthCheck`) return answerHealth(stream);
    if (path !== `${service}/ProcessStreamingPrompt`) return endWith(stream, UNIMPLEMENTED);
    requests.push(fromBinary(PromptRequestSchema, body.subarray(5)));
    await playReply(stream, script);
  };
  const server = createServer();
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, { ":path": path = "" }) => {
    if (path.endsWith("Prompt")) {
      active += 1;
      stream.once("close", () => {
        active -= 1;
      });
    }
    stream.on("error", () => undefined);
    answer(stream, path).catch(() => stream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    play: (next) => {
      script = next;
    },
    active: () => active,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function answerHealth(stream: ServerHttp2Stream): void {
  const answer = create(HealthCheckResponseSchema, { healthy: true, version: "emulated" });
  begin(stream);
  stream.write(frame(toBinary(HealthCheckResponseSchema, answer)));
  stream.end();
}

async function playReply(stream: ServerHttp2Stream, script: EmulatorScript): Promise<void> {
  const left = new AbortController();
  stream.once("close", () => left.abort());
  const write = (bytes: Uint8Array) => writeBytes(stream, bytes, script, left.signal);
  const messageOf = (fields: MessageInitShape<typeof PromptStreamResponseSchema>) =>
    frame(toBinary(PromptStreamResponseSchema, create(PromptStreamResponseSchema, fields)));
  for await (const step of paced(script, left.signal)) {
    if (step.type === "fault") return await playFault(stream, step.fault);
    await write(messageOf(step.type === "delta" ? { delta: step.text } : { finished: true }));
  }
  begin(stream);
  stream.end();
}

async function writeBytes(
  stream: ServerHttp2Stream,
  bytes: Uint8Array,
  { fault }: EmulatorScript,
  signal: AbortSignal,
): Promise<void> {
  begin(stream);
  if (fault?.kind === "drip") await drip(bytes, (byte) => stream.write(byte), signal);
  else if (!stream.destroyed && !stream.write(bytes)) await once(stream, "drain", { signal });
}

async function playFault(stream: ServerHttp2Stream, { kind }: Fault): Promise<void> {
  switch (kind) {
    case "refuse":
      return stream.session?.destroy();
    case "unauthorized":
      return endWith(stream, UNAUTHENTICATED);
    case "forbidden":
      return endWith(stream, PERMISSION_DENIED);
    case "rate-limit":
      return endWith(stream, RESOURCE_EXHAUSTED);
    case "html-500":
      if (!stream.headersSent) stream.respond({ ":status": 500, "content-type": "text/html" });
      return void stream.end("<html><body><h1>Internal error</h1></body></html>");
    case "cut":
      begin(stream);
      // The prefix promises more.
      await new Promise((written) =>
        stream.write(frame(Buffer.alloc(64)).subarray(0, 20), written),
      );
      return stream.session?.destroy(undefined, constants.NGHTTP2_NO_ERROR);
    case "malformed":
      begin(stream);
      stream.write(frame(Buffer.from([0x0a, 0xff, 0xff])));
      return void stream.end();
    case "empty":
      begin(stream);
      return void stream.end();
    default:
      // `hang`. The others have no meaning for an agent.
      return;
  }
}

/** Sends the header, unless it is sent. The status OK follows at the end. */
function begin(stream: ServerHttp2Stream): void {
  if (!stream.headersSent) respond(stream, OK);
}

/** Ends a call with a status: at once, or behind what was sent. */
function endWith(stream: ServerHttp2Stream, status: number): void {
  if (!stream.headersSent) respond(stream, status);
  stream.end();
}

function respond(stream: ServerHttp2Stream, status: number): void {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.once("wantTrailers", () =>
    stream.sendTrailers({ "grpc-status": String(status), "grpc-message": "" }),
  );
}

/** A message in gRPC's frame. */
function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
