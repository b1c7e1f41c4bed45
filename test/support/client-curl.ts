import { fromJson } from "@bufbuild/protobuf";
import { InterruptResponseSchema } from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, type Step } from "./client.ts";
import { hasProgram, ProgramFailed, runLines, runProgram } from "./program.ts";

/** The flags by which curl is told what HTTP to speak. */
export const curlModes = [
  { mode: "HTTP/1.1", flag: "--http1.1" },
  { mode: "upgrade to HTTP/2", flag: "--http2" },
  { mode: "HTTP/2", flag: "--http2-prior-knowledge" },
] as const;

/** curl reading `/v1/speak` as server-sent events, over each HTTP that it can be told to speak. */
export const curlClients: readonly ClientUnderTest[] = curlModes.map(({ mode, flag }) =>
  client(`curl, ${mode}`, flag),
);

/** Whether curl can run here. */
export function hasCurl(): boolean {
  return hasProgram("curl", ["--http2-prior-knowledge", "--version"], "install curl with HTTP/2");
}

function client(name: string, flag: string): ClientUnderTest {
  return {
    name,
    missing: !hasCurl(),
    hidesTrailers: true,
    connect: (gateway) => ({
      async *turn({ prompt, deviceId, sessionId }, signal) {
        const request = { prompt, hardware_id: deviceId, session_id: sessionId, format: "sse" };
        const args = [flag, ...post(`${gateway.url}/v1/speak`, request)];
        yield* readEvents(runLines("curl", args, signal));
      },
      async interrupt(deviceId) {
        const url = `${gateway.url}/streaming.StreamingService/InterruptSession`;
        const args = [flag, ...post(url, { hardware_id: deviceId })];
        const { stdout } = await runProgram("curl", args);
        return fromJson(InterruptResponseSchema, JSON.parse(stdout.toString()));
      },
      [Symbol.dispose]: () => undefined,
    }),
  };
}

/** The arguments of a POST with JSON that shows what comes as it comes, and errors as errors. */
export function post(url: string, body: object): readonly string[] {
  const json = ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
  return ["-sSN", "--fail-with-body", ...json, url];
}

async function* readEvents(lines: AsyncIterable<string>): AsyncGenerator<Step> {
  let name = "";
  let line = "";
  try {
    for await (line of lines) {
      if (line.startsWith("event: ")) name = line.slice(7);
      if (!line.startsWith("data: ")) continue;
      const data = JSON.parse(line.slice(6));
      if (name === "failure") throw new CallFailed(data.code, data.message);
      yield toStep(name, data);
    }
  } catch (error) {
    throw error instanceof ProgramFailed ? toFailure(line) : error;
  }
}

/** What came in the place of events. */
function toFailure(body: string): CallFailed {
  const { error } = JSON.parse(body);
  return new CallFailed(error.code, error.message);
}

/** What the data of an event may hold. */
type EventData = {
  readonly text?: string;
  readonly message?: string;
  readonly audio?: string;
  readonly samples?: number;
  readonly sample_rate?: number;
};

function toStep(name: string, data: EventData): Step {
  const { text = "", message = "", audio = "", samples = 0, sample_rate: sampleRate = 0 } = data;
  switch (name) {
    case "text":
      return { type: "text", text };
    case "audio": {
      const bytes = Buffer.from(audio, "base64");
      const chunk = { bytes, dtype: "int16", shape: [samples], sampleRate, channels: 1 };
      return { type: "audio", chunk };
    }
    case "end":
      return { type: "end", message };
    default:
      throw new Error(`an event of the unknown kind ${name}`);
  }
}
