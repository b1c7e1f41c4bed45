import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConversationService } from "../gen/parley/v1/conversation_pb.ts";
import {
  StreamingService,
  type StreamRequestSchema,
  type StreamResponse,
} from "../gen/streaming/streaming_pb.ts";
import { MAX_TURN_BYTES } from "../server/conversation/turn-buffer.ts";
import { createRandom } from "./fuzz/random.ts";
import { type CuttingProxy, startCuttingProxy } from "./support/cutting-proxy.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { bytesOfMessage, createGrpc, failureOf, openClient } from "./support/resumed-turns.ts";
import { createScriptedLanguageModel, type ReplyStep } from "./support/scripted-language-model.ts";

/** Connections that are cut: by `npm test` and `npm run test:full`, and by `npm run test:soak`. */
const CUTS = process.env["MODE"] === "soak" ? 500 : 30;

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  Connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "Connect, JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
};

type Fields = MessageInitShape<typeof StreamRequestSchema>;

const sentences = Array.from({ length: 12 }, (_, at) => `This is sentence ${at} of a long one. `);
const never = new Promise<never>(() => undefined);

let gateway: Gateway;
let proxy: CuttingProxy;
let reply: readonly ReplyStep[];
let prompts: () => number;
beforeEach(async () => {
  reply = sentences;
  const model = createScriptedLanguageModel(() => reply);
  prompts = () => model.prompts.length;
  gateway = await startGateway({ languageModels: [model] });
  proxy = await startCuttingProxy(gateway.grpcPort);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await gateway.stop();
});

const hardwareId = "device";
const turn = (turnId: string = randomUUID()) =>
  ({ prompt: "Tell me.", hardwareId, turnId, resumable: true }) satisfies Fields;
const open = (url = gateway.url, transport = createGrpc) => openClient(url, transport);

/** Asks as long as it takes for the whole turn, whatever happens to its connections. */
async function readThrough(
  fields: Fields,
  attempt: () => Transport,
): Promise<readonly StreamResponse[]> {
  const messages: StreamResponse[] = [];
  for (;;) {
    const client = createClient(StreamingService, attempt());
    const resumeAfter = messages.at(-1)?.sequence;
    try {
      const request = { ...fields, ...(resumeAfter !== undefined && { resumeAfter }) };
      for await (const message of client.streamAudio(request)) messages.push(message);
      return messages;
    } catch (error) {
      const { code } = ConnectError.from(error);
      const isLost = [Code.Unavailable, Code.Aborted, Code.Internal, Code.Unknown, Code.Canceled];
      if (!isLost.includes(code) && code !== Code.InvalidArgument) throw error;
      if (code === Code.InvalidArgument && !/protocol error|missing|premature/.test(`${error}`)) {
        throw error;
      }
    }
  }
}

/** Reads a turn up to so many messages, and cuts the connection. Answers them. */
async function readAndCut(fields: Fields, count: number): Promise<readonly StreamResponse[]> {
  const steps = open(proxy.url).streamAudio(fields)[Symbol.asyncIterator]();
  const messages: StreamResponse[] = [];
  while (messages.length < count) messages.push((await steps.next()).value as StreamResponse);
  proxy.cut();
  await failureOf({ [Symbol.asyncIterator]: () => steps });
  return messages;
}

describe.each(Object.entries(transports))(
  "StreamAudio of a resumable turn by %s",
  (_name, create) => {
    const share = Math.ceil(CUTS / Object.keys(transports).length);

    it(`gives the same bytes through ${share} cuts at random points, and runs each turn once`, {
      timeout: 30_000 + CUTS * 1000,
    }, async () => {
      const random = createRandom(11);
      const whole = await Array.fromAsync(open(gateway.url, create).streamAudio(turn()));
      expect(whole.map(({ sequence }) => Number(sequence))).toEqual(whole.map((_, at) => at + 1));
      const expected = whole.map(bytesOfMessage);
      const size = expected.join("").length;
      let turns = 1;
      while (proxy.cuts() < share) {
        const messages = await readThrough(turn(), () => {
          proxy.cutAfter(random.between(1, random.between(1, size)));
          return create(proxy.url);
        });
        expect(messages.map(bytesOfMessage)).toEqual(expected);
        turns += 1;
      }
      expect(prompts()).toBe(turns);
    });
  },
);

describe("StreamRequest.turn_id", () => {
  it("is the same turn again, and never a second one", async () => {
    const fields = turn();
    const whole = await Array.fromAsync(open().streamAudio(fields));
    const again = await Array.fromAsync(open().streamAudio(fields));
    expect(again).toEqual(whole);
    expect(again[0]?.turnId).toBe(fields.turnId);
    expect(prompts()).toBe(1);
  });

  it("is another turn of another device, which cannot take up this one", async () => {
    const fields = turn();
    await Array.fromAsync(open().streamAudio(fields));
    const theirs = { ...fields, hardwareId: "other" };
    const error = await failureOf(open().streamAudio({ ...theirs, resumeAfter: 0n }));
    const unknown = await failureOf(open().streamAudio({ ...turn(), resumeAfter: 0n }));
    expect(error.code).toBe(Code.NotFound);
    expect(error.rawMessage).toBe(unknown.rawMessage);
    await Array.fromAsync(open().streamAudio(theirs));
    expect(prompts()).toBe(2);
  });

  it("is refused with ALREADY_EXISTS if its turn was sent and cannot be resumed", async () => {
    const fields = { ...turn(), resumable: false };
    await Array.fromAsync(open().streamAudio(fields));
    expect((await failureOf(open().streamAudio(fields))).code).toBe(Code.AlreadyExists);
    expect(prompts()).toBe(1);
  });

  it("may be used again if its turn failed before it said anything", async () => {
    const fields = turn();
    reply = [new Error("broken")];
    expect((await failureOf(open().streamAudio(fields))).code).toBe(Code.Unavailable);
    reply = sentences;
    expect((await Array.fromAsync(open().streamAudio(fields))).at(-1)?.content.value).toBe("done");
  });

  it("is required with resume_after", async () => {
    const error = await failureOf(open().streamAudio({ ...turn(""), resumeAfter: 1n }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe("turn_id is required with resume_after");
  });
});

describe("StreamRequest.resume_after", () => {
  it("is answered OUT_OF_RANGE behind what was sent, and before what was confirmed", async () => {
    const fields = turn();
    const whole = await Array.fromAsync(open().streamAudio(fields));
    const end = whole.at(-1)?.sequence ?? 0n;
    const beyond = await failureOf(open().streamAudio({ ...fields, resumeAfter: end }));
    expect(beyond.code).toBe(Code.OutOfRange);
    await Array.fromAsync(open().streamAudio({ ...fields, resumeAfter: 3n }));
    const older = await failureOf(open().streamAudio({ ...fields, resumeAfter: 2n }));
    expect([older.code, older.rawMessage]).toEqual([
      Code.OutOfRange,
      "resume_after must be 3 or more: the rest is not kept",
    ]);
  });

  it("counts what ReportPlayback says was played as confirmed", async () => {
    const fields = turn();
    const whole = await Array.fromAsync(open().streamAudio(fields));
    const conversation = createClient(ConversationService, createGrpc(gateway.url));
    await conversation.reportPlayback({ ...fields, samplesPlayed: 10n ** 9n });
    const error = await failureOf(open().streamAudio({ ...fields, resumeAfter: 1n }));
    expect(error.code).toBe(Code.OutOfRange);
    const resumeAfter = (whole.at(-1)?.sequence ?? 0n) - 1n;
    const rest = await Array.fromAsync(open().streamAudio({ ...fields, resumeAfter }));
    expect(rest.map(({ content }) => content.value)).toEqual(["done"]);
  });

  it("cuts off a client that still reads the turn", async () => {
    const { promise: gate, resolve } = Promise.withResolvers<string>();
    reply = ["One two. Three", gate, "."];
    const fields = turn();
    const steps = open().streamAudio(fields)[Symbol.asyncIterator]();
    const first = (await steps.next()).value as StreamResponse;
    const old = failureOf({ [Symbol.asyncIterator]: () => steps });
    const rest = Array.fromAsync(open().streamAudio({ ...fields, resumeAfter: first.sequence }));
    expect((await old).code).toBe(Code.Canceled);
    resolve("");
    expect((await rest).map(({ sequence }) => Number(sequence))[0]).toBe(2);
  });
});

describe("a resumable turn whose connection was lost", () => {
  it("goes on, and waits when 2 MiB are not confirmed", async () => {
    reply = Array.from({ length: 200 }, (_, at) => `This is sentence ${at} of a very long one. `);
    const fields = turn();
    const begun = await readAndCut(fields, 2);
    const said = await untilStill(() => gateway.spoken.length);
    const bytes = gateway.spoken.slice(0, said).join("").length * 960;
    // Two sentences more are made ahead, and 5 s of sound within each.
    expect(bytes).toBeGreaterThan(MAX_TURN_BYTES / 2);
    expect(bytes).toBeLessThan(MAX_TURN_BYTES + 3 * 5 * 96_000);
    expect(gateway.status().activeSessions).toBe(1);
    const resumeAfter = begun.at(-1)?.sequence ?? 0n;
    const steps = open()
      .streamAudio({ ...fields, resumeAfter })
      [Symbol.asyncIterator]();
    const rest: StreamResponse[] = [];
    while (rest.length < 30) rest.push((await steps.next()).value as StreamResponse);
    expect(rest.map(({ sequence }) => Number(sequence))).toEqual(rest.map((_, at) => 3 + at));
    await open().interruptSession({ hardwareId });
  });

  it("is ended by an interrupt, which names it and drops what was kept", async () => {
    reply = ["One two. Three", never];
    const fields = { ...turn(), sessionId: "a" };
    await readAndCut(fields, 2);
    const answer = await open().interruptSession({ hardwareId });
    expect(answer.interruptedSessions).toEqual(["a"]);
    const error = await failureOf(open().streamAudio({ ...fields, resumeAfter: 1n }));
    expect(error.code).toBe(Code.Canceled);
    expect(error.metadata.get("parley-reason")).toBe("interrupted");
    expect(gateway.providerCalls()).toBe(0);
  });

  it("keeps nothing for a client that takes it up after it ended and was interrupted", async () => {
    const fields = turn();
    await Array.fromAsync(open().streamAudio(fields));
    await open().interruptSession({ hardwareId });
    expect((await failureOf(open().streamAudio(fields))).code).toBe(Code.Canceled);
  });

  it("ends at once if it cannot be resumed", async () => {
    reply = ["One two. Three", never];
    await readAndCut({ ...turn(), resumable: false }, 2);
    await gateway.untilIdle();
    expect(gateway.status().activeSessions).toBe(0);
  });
});

describe("a client that does not ask for resumption", () => {
  it("gets no sequence numbers", async () => {
    const messages = await Array.fromAsync(open().streamAudio({ prompt: "Tell me.", hardwareId }));
    expect(messages.map(({ sequence }) => sequence)).toEqual(messages.map(() => 0n));
  });
});

/** Waits until a figure stands still for 300 ms. */
async function untilStill(read: () => number): Promise<number> {
  let before = -1;
  await vi.waitFor(
    () => {
      const now = read();
      const isStill = now === before && now > 0;
      before = now;
      expect(isStill).toBe(true);
    },
    { timeout: 20_000, interval: 300 },
  );
  return before;
}
