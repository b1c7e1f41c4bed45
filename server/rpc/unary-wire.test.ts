import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type IncomingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type PromptRequest,
  PromptRequestSchema,
  type PromptResponse,
  PromptResponseSchema,
  PythonAgentService,
} from "../../gen/neira/agent/agent_pb.ts";
import { createEnvelope, PREFIX_BYTES } from "../core/envelope.ts";
import { type CallContext, callFlowKey, createUnaryWire, type EitherWay } from "./unary-wire.ts";

const hello = promptEnvelope("Hello.");
const reply = create(PromptResponseSchema, { response: "Hi." });

function promptEnvelope(prompt: string): Uint8Array {
  return createEnvelope(0, toBinary(PromptRequestSchema, create(PromptRequestSchema, { prompt })));
}

type Call = (message: PromptRequest, context: CallContext) => Promise<PromptResponse>;

let call: Call;
const service = {
  processPrompt: (message: PromptRequest, context: CallContext) => call(message, context),
} as unknown as EitherWay<typeof PythonAgentService>;
const answer = createUnaryWire(PythonAgentService, service);
const server = createServer((request, response) => {
  if (!answer(request, response, createContextValues)) response.destroy();
});
let session: ClientHttp2Session;

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  session.destroy();
  server.close();
});
beforeEach(() => {
  call = async () => reply;
});

/** A call whose request is open, and what has come of its answer. */
function open(headers: IncomingHttpHeaders = {}) {
  const stream: ClientHttp2Stream = session.request({
    ":method": "POST",
    ":path": "/neira.agent.PythonAgentService/ProcessPrompt",
    "content-type": "application/grpc+proto",
    te: "trailers",
    ...headers,
  });
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece)).on("error", () => undefined);
  const trailers = once(stream, "trailers").then(([fields]) => fields as IncomingHttpHeaders);
  return {
    stream,
    /** The responses so far. */
    texts: () =>
      pieces.map(
        (piece) => fromBinary(PromptResponseSchema, piece.subarray(PREFIX_BYTES)).response,
      ),
    /** Resolves with the first piece of the answer. */
    firstPiece: once(stream, "data"),
    async status() {
      const fields = await trailers;
      return [Number(fields["grpc-status"]), decodeURIComponent(String(fields["grpc-message"]))];
    },
  };
}

/** Lets the service wait for its signal. Resolves when it is called, and with the signal's reason. */
function hang() {
  const called = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<unknown>();
  call = (_, { signal }) => {
    called.resolve();
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        cancelled.resolve(signal.reason);
        reject(signal.reason);
      });
    });
  };
  return { called: called.promise, cancelled: cancelled.promise };
}

describe("createUnaryWire", () => {
  it("calls the service as soon as the message is there, and answers at the request's end", async () => {
    const called = Promise.withResolvers<string>();
    call = async ({ prompt }) => {
      called.resolve(prompt);
      return reply;
    };
    const { stream, texts, status } = open();
    stream.write(hello);
    expect(await called.promise).toBe("Hello.");
    expect(texts()).toEqual([]);
    stream.end();
    expect((await status())[0]).toBe(0);
    expect(texts()).toEqual(["Hi."]);
  });

  it("sends the answer's message before its status is known, once", async () => {
    const known = Promise.withResolvers<void>();
    call = async (_, { values }) => {
      const flow = values.get(callFlowKey);
      await flow?.requestEnd;
      flow?.onAnswer(reply);
      await known.promise;
      return reply;
    };
    const { stream, firstPiece, texts, status } = open();
    stream.end(hello);
    await firstPiece;
    known.resolve();
    expect((await status())[0]).toBe(0);
    expect(texts()).toEqual(["Hi."]);
  });

  it("keeps an early answer until the request has ended", async () => {
    const answered = Promise.withResolvers<void>();
    call = async (_, { values }) => {
      values.get(callFlowKey)?.onAnswer(reply);
      answered.resolve();
      return reply;
    };
    const { stream, texts, status } = open();
    stream.write(hello);
    await answered.promise;
    stream.end(hello);
    expect(await status()).toEqual([
      Code.Unimplemented,
      "protocol error: received extra input message for unary method",
    ]);
    expect(texts()).toEqual([]);
  });

  it("cancels the call with the error of a body that goes on", async () => {
    const { called, cancelled } = hang();
    const { stream, status } = open();
    stream.write(hello);
    await called;
    stream.write(hello);
    expect((await status())[0]).toBe(Code.Unimplemented);
    expect(await cancelled).toMatchObject({ code: Code.Unimplemented });
  });

  it("tells a failure that comes after the message", async () => {
    call = async (_, { values }) => {
      const flow = values.get(callFlowKey);
      await flow?.requestEnd;
      flow?.onAnswer(reply);
      throw new ConnectError("lost", Code.Unavailable);
    };
    const { stream, texts, status } = open();
    stream.end(hello);
    expect(await status()).toEqual([Code.Unavailable, "lost"]);
    expect(texts()).toEqual(["Hi."]);
  });

  it("ends the call at its deadline, also while the request is open", async () => {
    const { cancelled } = hang();
    const { stream, status } = open({ "grpc-timeout": "30m" });
    stream.write(hello);
    expect(await status()).toEqual([Code.DeadlineExceeded, "the operation timed out"]);
    expect(await cancelled).toMatchObject({ code: Code.DeadlineExceeded });
  });

  it("tells the call that its client has left", async () => {
    const { called, cancelled } = hang();
    const { stream } = open();
    stream.end(hello);
    await called;
    stream.close(8);
    expect(await cancelled).toMatchObject({
      code: Code.Canceled,
      rawMessage: "the client left",
    });
  });
});
