import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  SourceKind,
  StreamingService,
  type StreamResponse,
} from "../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../server/core/errors.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import type { Synthesizer } from "../server/models/synthesizer.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";
import { createSpellingVoice } from "./support/spelling-voice.ts";

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  Connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "Connect, JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
};

/** Fails after its first sentence. */
const failing = createScriptedLanguageModel(
  ["One two. Three", new ProviderError("failing", "server", "went away")],
  "failing",
);
const following = createScriptedLanguageModel([" four. Five."], "following");

/** Speaks one text, and is down from then on. */
function createTiredVoice(): Synthesizer {
  const voice = { ...createSpellingVoice(), name: "tired" };
  let texts = 0;
  return {
    ...voice,
    async *synthesize(text, options, signal) {
      texts += 1;
      if (texts > 1) throw new ProviderError("tired", "rate_limit", "too many requests");
      yield* voice.synthesize(text, options, signal);
    },
  };
}

let gateway: Gateway;
async function start(languageModels: readonly LanguageModel[]) {
  const synthesizers = [createTiredVoice(), { ...createSpellingVoice(), name: "awake" }];
  gateway = await startGateway({ languageModels, synthesizers });
}
beforeEach(() => start([failing, following]));
afterEach(() => gateway.stop());

const ask = (transport = transports["gRPC"]) =>
  Array.fromAsync(
    createClient(StreamingService, transport?.(gateway.url) as Transport).streamAudio({
      prompt: "go",
      hardwareId: "d",
    }),
  );

const names: Readonly<Record<number, string>> = {
  [SourceKind.TEXT]: "TEXT",
  [SourceKind.SPEECH]: "SPEECH",
};

/** Each source, with what it came with. */
const sourcesOf = (messages: readonly StreamResponse[]) =>
  messages.flatMap(({ source, content }) => {
    if (!source) return [];
    const { kind, tier, from, reason } = source;
    return [[content.case, names[kind], tier, from, reason]];
  });

const expected = [
  ["textChunk", "TEXT", "failing", "", ""],
  ["audioChunk", "SPEECH", "tired", "", ""],
  ["audioChunk", "SPEECH", "awake", "tired", "rate_limit"],
  // "Three four." is begun by the one and ended by the other; the next sentence tells it.
  ["textChunk", "TEXT", "following", "failing", "server"],
];

describe.each(Object.keys(transports))("the sources of a turn over %s", (name) => {
  it("come with the first chunk of each tier, and no message is without content", async () => {
    const messages = await ask(transports[name]);
    expect(sourcesOf(messages)).toEqual(expected);
    expect(messages.every(({ content }) => content.case !== undefined)).toBe(true);
    const text = messages.map(({ content }) => (content.case === "textChunk" ? content.value : ""));
    expect(text.join("")).toBe("One two. Three four. Five.");
    expect(messages.at(-1)).toMatchObject({
      content: { case: "endMessage", value: "done" },
      partial: false,
    });
  });
});

describe("a reply that no tier could finish", () => {
  it("is told as partial with its end, and with nothing else", async () => {
    await gateway.stop();
    await start([failing]);
    const messages = await ask();
    expect(messages.at(-1)).toMatchObject({
      content: { case: "endMessage", value: "done" },
      partial: true,
    });
    expect(messages.filter(({ partial }) => partial)).toHaveLength(1);
  });
});

describe("the events of /v1/speak", () => {
  const events = async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ prompt: "go", hardware_id: "d", format: "sse" });
    const answer = await fetch(`${gateway.httpUrl}/v1/speak`, { method: "POST", headers, body });
    return [...(await answer.text()).matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(
      ([, name = "", data = "{}"]) => ({ name, data: JSON.parse(data) }),
    );
  };

  it("tell the same", async () => {
    const told = (await events()).filter(({ data }) => data.source);
    expect(
      told.map(({ name, data: { source } }) => [
        `${name}Chunk`,
        source.kind,
        source.tier,
        source.from ?? "",
        source.reason ?? "",
      ]),
    ).toEqual(expected);
  });

  it("tell a partial reply with their end", async () => {
    await gateway.stop();
    await start([failing]);
    expect((await events()).at(-1)).toEqual({
      name: "end",
      data: { message: "done", partial: true },
    });
  });
});
