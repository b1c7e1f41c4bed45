import { fileURLToPath } from "node:url";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  InterruptResponseSchema,
  type StreamResponse,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, toStep } from "./client.ts";
import type { Gateway } from "./gateway.ts";
import { hasProgram, runLines } from "./program.ts";

/** Debian's own Python: the one that its package python3-grpcio is for. */
export const PYTHON = process.platform === "linux" ? "/usr/bin/python3" : "python3";
const CLIENT = fileURLToPath(new URL("../python/client.py", import.meta.url));

/** Whether the examples in Python can run here. */
export function hasPython(): boolean {
  const remedy =
    "install grpcio and protobuf (Debian: apt install python3-grpcio python3-protobuf)";
  return hasProgram(PYTHON, ["-c", "import grpc, google.protobuf"], remedy);
}

/** Python's grpcio, as the oldest clients use it. */
export const pythonClient: ClientUnderTest = {
  name: "Python grpcio",
  missing: !hasPython(),
  connect: (gateway) => ({
    async *turn({ prompt, deviceId, sessionId }, signal) {
      const request = { prompt, hardware_id: deviceId, session_id: sessionId };
      for await (const message of runPythonTurn(gateway, request, signal)) yield toStep(message);
    },
    async interrupt(deviceId) {
      const request = { hardware_id: deviceId };
      const signal = new AbortController().signal;
      const [answer] = await Array.fromAsync(run(gateway, "interrupt", request, signal));
      return fromJson(InterruptResponseSchema, answer ?? null);
    },
    [Symbol.dispose]: () => undefined,
  }),
};

/** What a request gets, given by the names of its fields in the contract. Throws `CallFailed`. */
export async function* runPythonTurn(
  gateway: Gateway,
  request: object,
  signal: AbortSignal,
): AsyncGenerator<StreamResponse> {
  for await (const json of run(gateway, "turn", request, signal)) {
    yield fromJson(StreamResponseSchema, json);
  }
}

async function* run(
  { grpcPort }: Gateway,
  command: "turn" | "interrupt",
  request: object,
  signal: AbortSignal,
): AsyncGenerator<JsonValue> {
  const args = [CLIENT, command, `127.0.0.1:${grpcPort}`, JSON.stringify(request)];
  for await (const line of runLines(PYTHON, args, signal)) {
    const { message, status } = JSON.parse(line);
    if (status) throw new CallFailed(status.code, status.details, status.reason);
    yield message;
  }
}
