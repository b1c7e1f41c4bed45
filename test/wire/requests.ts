import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  AudioFormat,
  InterruptRequestSchema,
  RequestPhase,
  StreamRequestSchema,
  WelcomeRequestSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../../server/core/errors.ts";
import { replyTo } from "../support/replies.ts";
import type { ReplyStep } from "../support/scripted-language-model.ts";

/** A request of the comparison of the two ways, and where its client leaves. */
export type ComparedRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** True if the body goes without its length. */
  readonly withoutLength: boolean;
  /** The client resets the stream after so many messages; undefined if it reads to the end. */
  readonly leavesAfter?: number;
};

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const service = "/streaming.StreamingService";

/** Media types and, for each, how its body is packed. */
const protocols = [
  { type: "application/grpc", form: "envelope" },
  { type: "application/grpc+proto", form: "envelope" },
  { type: "application/grpc-web", form: "envelope" },
  { type: "application/grpc-web+proto", form: "envelope" },
  { type: "application/grpc-web-text", form: "base64" },
  { type: "application/grpc-web-text+proto", form: "base64" },
  { type: "application/connect+proto", form: "envelope" },
  { type: "Application/Connect+Proto; charset=utf-8", form: "envelope" },
  { type: "application/connect+json", form: "json" },
  { type: "application/grpc+json", form: "json" },
  { type: "application/grpc-web+json", form: "json" },
  { type: "application/proto", form: "bare" },
  { type: "application/json", form: "bare" },
  { type: "text/plain", form: "bare" },
] as const;

/** Prompts, and what a language model that fails answers. Kinds of errors that open no breaker. */
const failure = (kind: "refused" | "unsupported") => new ProviderError("scripted", kind, kind);
const scripts: Readonly<Record<string, () => readonly ReplyStep[]>> = {
  "fail at once": () => [failure("refused")],
  "fail midway": () => ["One is said. ", "Two is sa", failure("refused")],
  "fail after sound": () => ["All of it is said, and heard. Then ", failure("unsupported")],
  "say nothing": () => ["… ", "!"],
  "hang at once": () => [new Promise(() => undefined)],
};

/** What the model of the compared gateways answers. */
export function comparedReply(prompt: string): readonly ReplyStep[] {
  return scripts[prompt]?.() ?? replyTo(prompt);
}

const prompts = [
  "Tell me.",
  "Short.",
  "One. Two! Three? Four; and a tail",
  "Привет, мир 😀! Ещё одно предложение.",
  "__GREETING__: Good morning. It is nine.",
  "__GREETING__:",
  "",
  "   ",
  "word ".repeat(60),
  "x".repeat(70_000),
  ...Object.keys(scripts).filter((name) => name !== "hang at once"),
];

/** Turns that go on until their client leaves or their deadline is over. */
const silent = ["Think about it.", "hang at once"];
const endless = [...silent, "Never stop."];

/** After how many messages a client may leave. They must come, or it would wait for ever. */
const leavingPoints: Readonly<Record<string, readonly number[]>> = {
  "hang at once": [0],
  "Think about it.": [0, 1, 2, 3, 5],
  "Never stop.": [0, 1, 2, 3, 6, 9, 15],
};

const devices = ["", "unknown", "a\u0007b", "d".repeat(200)];

const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  { "connect-protocol-version": "1" },
  { "connect-protocol-version": "2" },
  { "grpc-accept-encoding": "gzip" },
  { "connect-accept-encoding": "br,gzip" },
  { "grpc-encoding": "br" },
  { "connect-content-encoding": "snappy" },
  { "grpc-timeout": "60S" },
  { "grpc-timeout": "soon" },
  { "grpc-timeout": "99999999H" },
  { "connect-timeout-ms": "60000" },
  { "connect-timeout-ms": "-1" },
  { "x-custom-bin": "AAEC" },
  { origin: "http://localhost:8080" },
  { "x-user-agent": "grpc-web-javascript/0.1", "x-grpc-web": "1" },
];

/** Chance, always the same for the same seed. */
type Chance = {
  pick<T>(from: readonly T[]): T;
  /** True in so many cases, from 0 to 1. */
  chance(share: number): boolean;
  readonly random: () => number;
};

/** What a request asks for, and how its client behaves. */
type Plan = {
  readonly prompt: string;
  readonly deadline: boolean;
  readonly leavesAfter: number | undefined;
};

/** Makes the request of a number: the same for the same seed. */
export function createRequests(seed: number): (index: number) => ComparedRequest {
  const random = createRandom(seed);
  const draw: Chance = {
    random,
    pick: <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T,
    chance: (share) => random() < share,
  };
  return (index) => makeRequest(index, draw);
}

function makeRequest(index: number, draw: Chance): ComparedRequest {
  const { pick, chance, random } = draw;
  const { type, form } = pick(protocols);
  const device = chance(0.1) ? pick(devices) : `device-${index}`;
  const { prompt, deadline, leavesAfter } = makePlan(draw);
  const stays = leavesAfter === undefined && !deadline;
  const message = pickMessage({ ...draw, device, prompt, json: isJson(type), stays });
  const gzip = chance(0.1);
  const body = pack(message.bytes, form, gzip);
  return {
    method: chance(0.97) ? "POST" : pick(["GET", "PUT", "OPTIONS"]),
    path: chance(0.97)
      ? `${service}/${message.name}`
      : pick([`${service}/Gone`, "/no.Service/Call"]),
    headers: makeHeaders(draw, { type, gzip, deadline }),
    body: chance(0.15) ? damage(body, random) : body,
    withoutLength: chance(0.2),
    ...(leavesAfter !== undefined && { leavesAfter }),
  };
}

function makePlan({ pick, chance }: Chance): Plan {
  const ends = chance(0.8);
  const deadline = !ends && chance(0.3);
  if (ends) {
    const leaves = chance(0.1);
    const leavesAfter = leaves ? pick([0, 1, 2, 3, 4, 6, 9]) : undefined;
    return { prompt: pick(prompts), deadline, leavesAfter };
  }
  // What a deadline cuts must not depend on how fast the machine is.
  const prompt = pick(deadline ? silent : endless);
  return {
    prompt,
    deadline,
    leavesAfter: deadline ? undefined : pick(leavingPoints[prompt] ?? []),
  };
}

function makeHeaders(
  { pick, chance }: Chance,
  {
    type,
    gzip,
    deadline,
  }: { readonly type: string; readonly gzip: boolean; readonly deadline: boolean },
) {
  return {
    "content-type": type,
    ...(chance(0.5) && { te: "trailers" }),
    ...(chance(0.25) && pick(oddHeaders)),
    ...(gzip && { "grpc-encoding": "gzip", "connect-content-encoding": "gzip" }),
    ...(deadline && { "grpc-timeout": "150m", "connect-timeout-ms": "150" }),
  };
}

const isJson = (type: string) => type.includes("json");

type Draw = Chance & {
  readonly device: string;
  readonly prompt: string;
  readonly json: boolean;
  /** True if the client reads its answer to the end. */
  readonly stays: boolean;
};

function pickMessage({ device, prompt, json, stays, pick, chance }: Draw) {
  const name = pick([
    "StreamAudio",
    "StreamAudio",
    "StreamAudio",
    "GenerateWelcomeAudio",
    "InterruptSession",
  ]);
  if (name === "GenerateWelcomeAudio") {
    const welcome = create(WelcomeRequestSchema, {
      text: prompt,
      ...(chance(0.3) && { sessionId: device, voice: "spelling", language: pick(["en", "??"]) }),
    });
    return {
      name,
      bytes: json
        ? Buffer.from(toJsonString(WelcomeRequestSchema, welcome))
        : toBinary(WelcomeRequestSchema, welcome),
    };
  }
  if (name === "InterruptSession") {
    const interrupt = create(InterruptRequestSchema, { hardwareId: device });
    return {
      name,
      bytes: json
        ? Buffer.from(toJsonString(InterruptRequestSchema, interrupt))
        : toBinary(InterruptRequestSchema, interrupt),
    };
  }
  const request = create(StreamRequestSchema, {
    prompt,
    hardwareId: device,
    // One that its client leaves would go on for 30 s.
    resumable: stays && chance(0.3),
    ...(chance(0.3) && {
      screenshot: pick(["", "bm90IGEgcGljdHVyZQ=="]),
      screenWidth: pick([0, 800, -1]),
      screenHeight: 600,
    }),
    ...(chance(0.1) && {
      audioFormat: pick([AudioFormat.OPUS, AudioFormat.PCM_S16LE, 9 as AudioFormat]),
    }),
    ...(chance(0.2) && {
      phase: pick([RequestPhase.COLLECT, RequestPhase.COMMIT, 7 as RequestPhase]),
      sessionId: "11111111-2222-4333-8444-555555555555",
      chunkSeq: 1,
      chunkText: prompt,
    }),
  });
  return {
    name,
    bytes: json
      ? Buffer.from(toJsonString(StreamRequestSchema, request))
      : toBinary(StreamRequestSchema, request),
  };
}

function pack(
  message: Uint8Array,
  form: (typeof protocols)[number]["form"],
  gzip: boolean,
): Buffer {
  const bytes = gzip ? gzipSync(message) : Buffer.from(message);
  if (form === "bare") return bytes;
  const prefix = Buffer.alloc(5);
  prefix[0] = gzip ? 1 : 0;
  prefix.writeUInt32BE(bytes.length, 1);
  const enveloped = Buffer.concat([prefix, bytes]);
  return form === "base64" ? Buffer.from(enveloped.toString("base64")) : enveloped;
}

/** Cuts a body short, changes a byte, adds some, or sends it twice. */
function damage(body: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * body.length);
  switch (Math.floor(random() * 4)) {
    case 0:
      return body.subarray(0, at);
    case 1: {
      const changed = Buffer.from(body);
      if (changed.length > 0) changed[at] = Math.floor(random() * 256);
      return changed;
    }
    case 2:
      return Buffer.concat([body, Buffer.from([0, 0, 0, 0, Math.floor(random() * 9)])]);
    default:
      return Buffer.concat([body, body]);
  }
}
