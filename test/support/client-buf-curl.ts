import { fileURLToPath } from "node:url";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { InterruptResponseSchema, StreamResponseSchema } from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, toStep } from "./client.ts";
import type { Gateway } from "./gateway.ts";
import { ProgramFailed, runLines } from "./program.ts";

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));

/** `buf curl` in its three protocols, over both HTTPs where the protocol allows. */
export const bufCurlClients: readonly ClientUnderTest[] = [
  client("buf curl, gRPC", "--protocol=grpc", "--http2-prior-knowledge"),
  client("buf curl, gRPC-Web, HTTP/1.1", "--protocol=grpcweb"),
  client("buf curl, gRPC-Web, HTTP/2", "--protocol=grpcweb", "--http2-prior-knowledge"),
  client("buf curl, Connect, HTTP/1.1", "--protocol=connect"),
  client("buf curl, Connect, HTTP/2", "--protocol=connect", "--http2-prior-knowledge"),
];

function client(name: string, ...flags: readonly string[]): ClientUnderTest {
  return {
    name,
    connect: (gateway) => ({
      async *turn({ prompt, deviceId, sessionId }, signal) {
        const request = { prompt, hardware_id: deviceId, session_id: sessionId };
        const args = [...flags, ...call(gateway, "StreamAudio", request)];
        for await (const json of runJson(args, signal))
          yield toStep(fromJson(StreamResponseSchema, json));
      },
      async interrupt(deviceId) {
        const args = [...flags, ...call(gateway, "InterruptSession", { hardware_id: deviceId })];
        const [answer] = await Array.fromAsync(runJson(args, new AbortController().signal));
        return fromJson(InterruptResponseSchema, answer ?? null);
      },
      [Symbol.dispose]: () => undefined,
    }),
  };
}

function call(gateway: Gateway, method: string, request: object): readonly string[] {
  const url = `${gateway.url}/streaming.StreamingService/${method}`;
  return ["--schema", PROTO, "--verbose", "--data", JSON.stringify(request), url];
}

/** The JSON documents that `buf curl` prints, one after another over many lines. */
async function* runJson(args: readonly string[], signal: AbortSignal): AsyncGenerator<JsonValue> {
  let document = "";
  try {
    for await (const line of runLines(BUF, ["curl", ...args], signal)) {
      document += line;
      if (!line.startsWith("}")) continue;
      yield JSON.parse(document);
      document = "";
    }
  } catch (error) {
    throw error instanceof ProgramFailed ? toFailure(error) : error;
  }
}

/** Standard error holds the protocol's own lines, because of --verbose, and the error as JSON. */
function toFailure({ stderr }: ProgramFailed): CallFailed {
  const [json] = /^\{.*?^\}/ms.exec(stderr) ?? [];
  const [, reason] = /parley-reason: (\w+)/i.exec(stderr) ?? [];
  const { code, message } = JSON.parse(json ?? '{"code":"unknown"}');
  return new CallFailed(code, message, reason);
}
