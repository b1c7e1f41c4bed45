import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PromptResponseSchema, PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { judge } from "./call-errors.ts";
import { createUnaryCaller } from "./unary-call.ts";

const { processPrompt } = PythonAgentService.method;
const request = create(processPrompt.input, { prompt: "Hello." });
const reply = toBinary(PromptResponseSchema, create(PromptResponseSchema, { response: "Hi." }));
const never = new AbortController().signal;
const MAX_BYTES = 1000;

function envelope(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

type Answer = {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly trailers?: Readonly<Record<string, string>>;
};

/** Sends an answer as an agent would, right or wrong. */
function send(stream: ServerHttp2Stream, { status = 200, type, headers, body, trailers }: Answer) {
  stream.respond(
    { ":status": status, "content-type": type ?? "application/grpc+proto", ...headers },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
  stream.end(body);
}

const ok = { "grpc-status": "0" };
let react: (stream: ServerHttp2Stream) => void = () => undefined;
const server = createServer().on("stream", (stream) => {
  stream.on("error", () => undefined);
  react(stream);
});
let sessions: Http2SessionManager;

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  sessions = new Http2SessionManager(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  sessions.abort();
  server.close();
});

function call(signal = never, timeoutMs = 10_000) {
  return createUnaryCaller(sessions, MAX_BYTES)(processPrompt, request, { signal, timeoutMs });
}

describe("createUnaryCaller", () => {
  it("sends the message and its deadline, and returns the answer in pieces of any size", async () => {
    let headers = {};
    react = (stream) => {
      stream.once("data", () => undefined);
      stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(ok));
      for (const byte of envelope(reply)) stream.write(Buffer.of(byte));
      stream.end();
    };
    server.once("stream", (_, fields) => {
      headers = fields;
    });
    expect((await call()).response).toBe("Hi.");
    expect(headers).toMatchObject({
      ":path": "/neira.agent.PythonAgentService/ProcessPrompt",
      "grpc-timeout": "10000m",
      te: "trailers",
    });
  });

  it.each<[string, Answer, Code, string]>([
    ["an HTTP error", { status: 503 }, Code.Internal, "the agent did not answer in gRPC"],
    ["another type", { type: "text/html" }, Code.Internal, "the agent did not answer in gRPC"],
    [
      "no status",
      { body: envelope(reply) },
      Code.Unavailable,
      "the agent was lost during the call",
    ],
    ["no message", { trailers: ok }, Code.Internal, "the agent's answer cannot be read"],
    [
      "two messages",
      { body: Buffer.concat([envelope(reply), envelope(reply)]), trailers: ok },
      Code.Internal,
      "the agent's answer cannot be read",
    ],
    [
      "half a message",
      { body: envelope(reply).subarray(0, -1), trailers: ok },
      Code.Internal,
      "the agent's answer cannot be read",
    ],
    [
      "a compressed message",
      { body: envelope(reply, 1), trailers: ok },
      Code.Internal,
      "the agent's answer cannot be read",
    ],
    [
      "no protobuf",
      { body: envelope(Buffer.of(0xff)), trailers: ok },
      Code.Internal,
      "the agent's answer cannot be read",
    ],
    [
      "too many bytes",
      { body: Buffer.alloc(2000), trailers: ok },
      Code.Internal,
      "the agent's answer is too large",
    ],
    [
      "a status in the header",
      { headers: { "grpc-status": "5", "grpc-message": "no such topic" } },
      Code.NotFound,
      "no such topic",
    ],
    [
      "a status in the trailers",
      { trailers: { "grpc-status": "3", "grpc-message": "a%20b" } },
      Code.InvalidArgument,
      "a b",
    ],
  ])("rejects %s", async (_, answer, code, message) => {
    react = (stream) => send(stream, answer);
    const failure = judge(await call().catch((error: unknown) => error));
    expect(failure).toMatchObject({ code, message });
  });

  it("sends the message at once, and the end when the caller's request has ended", async () => {
    const came = Promise.withResolvers<void>();
    const requestEnd = Promise.withResolvers<void>();
    const events: string[] = [];
    react = (stream) => {
      stream.once("data", () => {
        events.push("message");
        came.resolve();
      });
      stream.once("end", () => {
        events.push("end");
        send(stream, { body: envelope(reply), trailers: ok });
      });
    };
    const flow = { requestEnd: requestEnd.promise, onAnswer: () => undefined };
    const answer = createUnaryCaller(sessions, MAX_BYTES)(processPrompt, request, {
      signal: never,
      timeoutMs: 10_000,
      flow,
    });
    await came.promise;
    expect(events).toEqual(["message"]);
    requestEnd.resolve();
    expect((await answer).response).toBe("Hi.");
    expect(events).toEqual(["message", "end"]);
  });

  it("gives the answer before its status, and rejects if the status is an error", async () => {
    const given = Promise.withResolvers<object>();
    react = (stream) => {
      stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "5" }));
      stream.write(envelope(reply));
      void given.promise.then(() => stream.end());
    };
    const flow = { requestEnd: Promise.resolve(), onAnswer: given.resolve };
    const answer = createUnaryCaller(sessions, MAX_BYTES)(processPrompt, request, {
      signal: never,
      timeoutMs: 10_000,
      flow,
    });
    const failure = answer.catch((error: unknown) => error);
    expect(await given.promise).toMatchObject({ response: "Hi." });
    expect(judge(await failure)).toMatchObject({ code: Code.NotFound });
  });

  it("leaves no stream open when the agent answers before the request's end", async () => {
    const closed = Promise.withResolvers<void>();
    react = (stream) => {
      stream.once("close", closed.resolve).resume();
      send(stream, { body: envelope(reply), trailers: ok });
    };
    const flow = { requestEnd: new Promise<void>(() => undefined), onAnswer: () => undefined };
    const answer = createUnaryCaller(sessions, MAX_BYTES)(processPrompt, request, {
      signal: never,
      timeoutMs: 10_000,
      flow,
    });
    expect((await answer).response).toBe("Hi.");
    await closed.promise;
  });

  it("rejects when the agent resets the stream", async () => {
    react = (stream) => stream.close(2);
    const failure = judge(await call().catch((error: unknown) => error));
    expect(failure).toMatchObject({ code: Code.Unavailable });
  });

  it.each([
    ["its signal fires", 10_000],
    ["its time is over", 30],
  ])("cancels the call of the agent when %s", async (_, timeoutMs) => {
    const left = Promise.withResolvers<number>();
    const leaving = new AbortController();
    react = (stream) => {
      stream.once("close", () => left.resolve(stream.rstCode));
      if (timeoutMs === 10_000) leaving.abort(new Error("left"));
    };
    const message = timeoutMs === 30 ? "the deadline has passed" : "left";
    await expect(call(leaving.signal, timeoutMs)).rejects.toThrow(message);
    expect(await left.promise).toBe(8);
  });
});
