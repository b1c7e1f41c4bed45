import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  InterruptRequestSchema,
  InterruptResponseSchema,
  StreamRequestSchema,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, toStep } from "./client.ts";
import type { Gateway } from "./gateway.ts";
import { runLines, tellMissing } from "./program.ts";

const PROGRAM = fileURLToPath(new URL("../foreign/client.mjs", import.meta.url));

const installed = isInstalled();

/**
 * Clients with packages of their own (test/foreign), each call in a process of its own. A cancel
 * ends that process.
 */
export const foreignClients: readonly ClientUnderTest[] = [
  client("nice-grpc", "nice-grpc"),
  client("nice-grpc-web", "nice-grpc-web"),
  client("@improbable-eng/grpc-web", "improbable"),
  client("connect-es 1, gRPC", "connect-es-1-grpc"),
  client("connect-es 1, gRPC-Web", "connect-es-1-grpc-web"),
  client("connect-es 1, Connect", "connect-es-1-connect"),
];

function client(name: string, library: string): ClientUnderTest {
  return {
    name,
    missing: !installed,
    connect: (gateway) => ({
      async *turn({ prompt, deviceId, sessionId }, signal) {
        const fields = { prompt, hardwareId: deviceId, ...(sessionId && { sessionId }) };
        const request = toBinary(StreamRequestSchema, create(StreamRequestSchema, fields));
        const call = { library, command: "turn", request };
        for await (const bytes of run(gateway, call, signal)) {
          yield toStep(fromBinary(StreamResponseSchema, bytes));
        }
      },
      async interrupt(deviceId) {
        const fields = { hardwareId: deviceId };
        const request = toBinary(InterruptRequestSchema, create(InterruptRequestSchema, fields));
        const call = { library, command: "interrupt", request };
        const [answer] = await Array.fromAsync(run(gateway, call, new AbortController().signal));
        return fromBinary(InterruptResponseSchema, answer ?? new Uint8Array());
      },
      [Symbol.dispose]: () => undefined,
    }),
  };
}

type Call = { readonly library: string; readonly command: string; readonly request: Uint8Array };

async function* run(
  gateway: Gateway,
  { library, command, request }: Call,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const base64 = Buffer.from(request).toString("base64");
  const args = [PROGRAM, library, command, gateway.url, base64];
  for await (const line of runLines(process.execPath, args, signal)) {
    const { message, status } = JSON.parse(line);
    if (status) throw new CallFailed(status.code, status.message, status.reason);
    yield Buffer.from(message, "base64");
  }
}

/** Whether the packages are there. In CI they must be. */
function isInstalled(): boolean {
  if (existsSync(new URL("../foreign/node_modules/.package-lock.json", import.meta.url)))
    return true;
  tellMissing("The clients of test/foreign are not installed: npm run foreign:install.");
  return false;
}
