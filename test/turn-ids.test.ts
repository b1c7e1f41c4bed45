import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  RequestPhase,
  StreamingService,
  type StreamRequestSchema,
  type StreamResponse,
} from "../gen/streaming/streaming_pb.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel, type ReplyStep } from "./support/scripted-language-model.ts";
import { createSpellingVoice } from "./support/spelling-voice.ts";

const never = new Promise<never>(() => undefined);
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  Connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "Connect, JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
};

let gateway: Gateway;
let reply: (prompt: string) => readonly ReplyStep[];
const voices: unknown[] = [];
beforeEach(async () => {
  reply = () => ["One two. ", "Three."];
  voices.length = 0;
  const spelling = createSpellingVoice();
  gateway = await startGateway({
    languageModels: [createScriptedLanguageModel(({ text }) => reply(text))],
    synthesizers: [
      {
        ...spelling,
        synthesize(text, voice, signal) {
          voices.push({ name: voice.name, language: voice.language });
          return spelling.synthesize(text, voice, signal);
        },
      },
    ],
  });
});
afterEach(() => gateway.stop());

const open = (transport: (baseUrl: string) => Transport = createGrpc) =>
  createClient(StreamingService, transport(gateway.url));
const createGrpc = (baseUrl: string) => createGrpcTransport({ baseUrl });
const good = { prompt: "hi", hardwareId: "device" };

async function read(steps: AsyncIterable<StreamResponse>): Promise<readonly StreamResponse[]> {
  return Array.fromAsync(steps);
}

async function failure(steps: AsyncIterable<StreamResponse>): Promise<ConnectError> {
  return read(steps).then(
    () => Promise.reject(new Error("the turn did not fail")),
    (error: unknown) => ConnectError.from(error),
  );
}

/** What the messages tell of their turn: one item for each message. */
const idsOf = (messages: readonly StreamResponse[]) =>
  messages.map(({ turnId, sessionId }) => [turnId, sessionId]);

describe.each(Object.keys(transports))("a turn's ids over %s", (name) => {
  it("come with the first message and no other, and no message is without content", async () => {
    const turnId = "3F2504E0-4F89-41D3-9A0C-0305E82C3301";
    const messages = await read(open(transports[name]).streamAudio({ ...good, turnId }));
    const [first, ...rest] = idsOf(messages);
    expect(first).toEqual([turnId, expect.stringMatching(uuidV7)]);
    expect(rest.length).toBeGreaterThan(2);
    expect(rest.flat().filter((id) => id !== "")).toEqual([]);
    expect(messages.every(({ content }) => content.case !== undefined)).toBe(true);
  });
});

describe("a turn's id", () => {
  it("is made by the gateway, a UUID of version 7, where the client has none", async () => {
    const [[first] = [], ...rest] = idsOf(await read(open().streamAudio(good)));
    expect(first).toMatch(uuidV7);
    const [[second] = []] = idsOf(await read(open().streamAudio(good)));
    expect(second).not.toBe(first);
    expect(rest.flat().join("")).toBe("");
  });

  it("comes with the session that the client named", async () => {
    const [first] = idsOf(await read(open().streamAudio({ ...good, sessionId: "mine" })));
    expect(first).toEqual([expect.stringMatching(uuidV7), "mine"]);
  });

  it("is not told where no turn runs", async () => {
    const collect = { ...good, phase: RequestPhase.COLLECT, sessionId: randomUUID() };
    expect(idsOf(await read(open().streamAudio(collect)))).toEqual([["", ""]]);
  });

  it.each<[string, MessageInitShape<typeof StreamRequestSchema>]>([
    ["turn_id", { turnId: "mine" }],
    ["language", { language: "no tag" }],
    ["voice", { voice: "x".repeat(129) }],
  ])("is refused with INVALID_ARGUMENT with a bad %s", async (field, fields) => {
    const error = await failure(open().streamAudio({ ...good, ...fields }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage.startsWith(`${field} must be`)).toBe(true);
  });

  it("runs one turn at a time", async () => {
    reply = (prompt) => (prompt === "hang" ? ["One two. Three", never] : ["Fine."]);
    const turnId = randomUUID();
    const client = open();
    const first = client.streamAudio({ ...good, prompt: "hang", turnId })[Symbol.asyncIterator]();
    await first.next();
    const error = await failure(client.streamAudio({ ...good, turnId: turnId.toUpperCase() }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe("turn_id must not be that of a turn in progress");
    const other = client.streamAudio({ ...good, hardwareId: "other", turnId });
    expect(idsOf(await read(other))[0]?.[0]).toBe(turnId);
    await client.interruptSession({ hardwareId: "device" });
  });
});

describe("the language and the voice of a request", () => {
  it("reach the voice", async () => {
    await read(open().streamAudio({ ...good, voice: "Anna", language: "de-DE" }));
    expect(voices).toEqual([
      { name: "Anna", language: "de-DE" },
      { name: "Anna", language: "de-DE" },
    ]);
  });
});

describe("InterruptSession with a turn", () => {
  const hangs = (prompt: string) => prompt.startsWith("hang");
  beforeEach(() => {
    reply = (prompt) => (hangs(prompt) ? ["One two. Three", never] : ["Fine. ", "All is well."]);
  });

  it("never ends a new turn that is sent together with it: 20 of 20", async () => {
    const old = open();
    const outcomes: unknown[] = [];
    for (let round = 0; round < 20; round += 1) {
      const turnId = randomUUID();
      const steps = old.streamAudio({ ...good, prompt: "hang", turnId })[Symbol.asyncIterator]();
      await steps.next();
      const ended = failure({ [Symbol.asyncIterator]: () => steps });
      // Over one connection the order is kept; over two it is not.
      const other = round % 2 === 0 ? old : open();
      const [answer, fresh] = await Promise.all([
        other.interruptSession({ hardwareId: "device", turnId }),
        read(old.streamAudio({ ...good, prompt: "next" })),
      ]);
      outcomes.push([
        (await ended).code,
        answer.interruptedSessions.length,
        fresh.at(-1)?.content.value,
      ]);
    }
    expect(outcomes).toEqual(Array(20).fill([Code.Canceled, 1, "done"]));
  }, 20_000);

  it("ends the named turn and those before it", async () => {
    const client = open();
    const turns = ["a", "b", "c"].map((sessionId) => ({ sessionId, turnId: randomUUID() }));
    const streams = [];
    for (const turn of turns) {
      const steps = client
        .streamAudio({ ...good, prompt: "hang", ...turn })
        [Symbol.asyncIterator]();
      await steps.next();
      streams.push(steps);
    }
    const interrupt = (turnId = "") =>
      client
        .interruptSession({ hardwareId: "device", turnId })
        .then((answer) => answer.interruptedSessions);
    expect(await interrupt(turns[1]?.turnId)).toEqual(["a", "b"]);
    expect(gateway.status().activeSessions).toBe(1);
    expect(await interrupt()).toEqual(["c"]);
  });

  it("ends a turn that comes after it", async () => {
    const client = open();
    const turnId = randomUUID();
    await client.interruptSession({ hardwareId: "device", turnId });
    const error = await failure(client.streamAudio({ ...good, turnId }));
    expect(error.code).toBe(Code.Canceled);
    expect(error.metadata.get("parley-reason")).toBe("interrupted");
  });

  it("keeps what was collected for a later turn", async () => {
    const client = open();
    const sessionId = randomUUID();
    const piece = {
      ...good,
      sessionId,
      phase: RequestPhase.COLLECT,
      prompt: "",
      chunkText: "What time",
    };
    await read(client.streamAudio(piece));
    await client.interruptSession({ hardwareId: "device", turnId: randomUUID() });
    let asked = "";
    reply = (prompt) => {
      asked = prompt;
      return ["Noon."];
    };
    await read(
      client.streamAudio({ ...good, sessionId, phase: RequestPhase.COMMIT, prompt: " is it?" }),
    );
    expect(asked).toBe("What time is it?");
  });

  it("takes along what was collected for a turn that comes after it", async () => {
    const client = open();
    const [sessionId, turnId] = [randomUUID(), randomUUID()];
    const commit = { ...good, sessionId, phase: RequestPhase.COMMIT };
    const piece = { ...commit, phase: RequestPhase.COLLECT, prompt: "", chunkText: "What time" };
    await read(client.streamAudio(piece));
    await client.interruptSession({ hardwareId: "device", turnId });
    const late = await failure(client.streamAudio({ ...commit, turnId, prompt: " is it?" }));
    expect(late.code).toBe(Code.Canceled);
    let asked = "";
    reply = (prompt) => {
      asked = prompt;
      return ["Noon."];
    };
    await read(client.streamAudio({ ...commit, prompt: "Hello." }));
    expect(asked).toBe("Hello.");
  });

  it("refuses a turn_id that is no UUID", async () => {
    const answer = open().interruptSession({ hardwareId: "device", turnId: "last" });
    await expect(answer).rejects.toMatchObject({ code: Code.InvalidArgument });
  });
});
