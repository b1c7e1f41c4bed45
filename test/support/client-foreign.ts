import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  InterruptRequestSchema,
  InterruptResponseSchema,
  StreamRequestSchema,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { type Channel, createChannel } from "../../server/core/async.ts";
import { CallFailed, type ClientUnderTest, toStep } from "./client.ts";
import { tellMissing } from "./program.ts";

const PROGRAM = fileURLToPath(new URL("../foreign/client.mjs", import.meta.url));

/** Whether the packages of test/foreign are here. */
export const installed = isInstalled();

/**
 * Client libraries with packages of their own (test/foreign). Each client is a process, which
 * cancels a call as its library does.
 */
export const foreignClients: readonly ClientUnderTest[] = [
  client("nice-grpc", "nice/grpc"),
  client("nice-grpc-web", "nice/grpc-web"),
  client("@improbable-eng/grpc-web", "improbable"),
  client("protobuf-ts, gRPC", "protobuf-ts"),
  client("connect-es 1, gRPC", "connect-es-1/grpc"),
  client("connect-es 1, gRPC-Web", "connect-es-1/grpc-web"),
  client("connect-es 1, Connect", "connect-es-1/connect"),
];

function client(name: string, library: string): ClientUnderTest {
  return {
    name,
    missing: !installed,
    connect({ url }) {
      const foreign = start(library, url);
      return {
        async *turn({ prompt, deviceId, sessionId }, signal) {
          const fields = { prompt, hardwareId: deviceId, ...(sessionId && { sessionId }) };
          const request = write(StreamRequestSchema, fields);
          for await (const bytes of foreign.call("StreamAudio", request, signal)) {
            yield toStep(fromBinary(StreamResponseSchema, bytes));
          }
        },
        async interrupt(deviceId) {
          const request = write(InterruptRequestSchema, { hardwareId: deviceId });
          const call = foreign.call("InterruptSession", request, new AbortController().signal);
          const [answer = new Uint8Array()] = await Array.fromAsync(call);
          return fromBinary(InterruptResponseSchema, answer);
        },
        [Symbol.dispose]: () => foreign.stop(),
      };
    },
  };
}

function write<Desc extends DescMessage>(schema: Desc, fields: MessageInitShape<Desc>): string {
  return Buffer.from(toBinary(schema, create(schema, fields))).toString("base64");
}

/** A line of the program: one of message, end and status. */
type Line = {
  readonly id: number;
  readonly message?: string;
  readonly end?: true;
  readonly status?: { readonly code: number; readonly message: string; readonly reason?: string };
};

/** Starts the program with one library. Its standard error is the test's. */
function start(library: string, url: string) {
  const child = spawn(process.execPath, [PROGRAM, library, url], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const calls = new Map<number, Channel<Uint8Array>>();
  const ended = readLines(child, calls);
  const send = (line: object) => child.stdin.write(`${JSON.stringify(line)}\n`);
  let id = 0;
  return {
    /** Yields the messages until the library ends the call, a cancelled one too. */
    async *call(method: string, request: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
      id += 1;
      const call = id;
      const messages = createChannel<Uint8Array>(Number.MAX_SAFE_INTEGER, ended);
      calls.set(call, messages);
      const cancel = () => send({ id: call, cancel: true });
      signal.addEventListener("abort", cancel, { once: true });
      send({ id: call, method, request });
      try {
        yield* messages;
      } finally {
        signal.removeEventListener("abort", cancel);
        calls.delete(call);
      }
    },
    stop: () => child.kill("SIGKILL"),
  };
}

/** Hands each line to its call. The signal answered fires when the program has ended. */
function readLines(
  child: ChildProcessByStdio<Writable, Readable, null>,
  calls: ReadonlyMap<number, Channel<Uint8Array>>,
): AbortSignal {
  const ended = new AbortController();
  child.on("close", (code) => ended.abort(new Error(`the client ended with exit code ${code}`)));
  // What is written to a program that has ended is told by the signal.
  child.stdin.on("error", () => undefined);
  createInterface({ input: child.stdout }).on("line", (text) => {
    const { id, message, status }: Line = JSON.parse(text);
    const call = calls.get(id);
    if (message !== undefined) void call?.push(Buffer.from(message, "base64"));
    else call?.close(status && new CallFailed(nameOf(status.code), status.message, status.reason));
  });
  return ended.signal;
}

/** A code's number as Connect spells it. */
function nameOf(code: number): string {
  const name = Code[code] ?? "Unknown";
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** Whether the packages are there. In CI they must be. */
function isInstalled(): boolean {
  if (existsSync(new URL("../foreign/node_modules/.package-lock.json", import.meta.url)))
    return true;
  tellMissing("The clients of test/foreign are not installed: npm run foreign:install.");
  return false;
}
