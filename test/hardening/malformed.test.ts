import { connect, type IncomingHttpHeaders } from "node:http2";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { closeAll, closeOf } from "../support/sockets.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => {
  await closeAll();
  await gateway.stop();
});

const STREAM = "/streaming.StreamingService/StreamAudio";
const UNARY = "/streaming.StreamingService/InterruptSession";

type Sent = {
  readonly path: string;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** Sends a request over HTTP/2, and gives its status whatever protocol it comes in. */
async function statusOf({ path, type, headers, body }: Sent): Promise<string> {
  const session = connect(gateway.url);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": type,
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => undefined);
  let heads: IncomingHttpHeaders = {};
  let text = "";
  const note = (more: IncomingHttpHeaders) => {
    heads = { ...heads, ...more };
  };
  stream.on("response", note).on("trailers", note);
  stream.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
  });
  stream.end(body);
  await closeOf(stream);
  session.destroy();
  return readStatus(heads, text);
}

/** "CODE message", with gRPC's numbers and Connect's names made alike. */
function readStatus(heads: IncomingHttpHeaders, text: string): string {
  const [, inBody] = /grpc-status: ?(\d+)/i.exec(text) ?? [];
  const number = heads["grpc-status"] ?? inBody;
  if (number !== undefined) {
    const [, words = ""] = /grpc-message: ?([^\r\n]*)/i.exec(text) ?? [];
    const message = decodeURIComponent(String(heads["grpc-message"] ?? words));
    return `${number === "3" ? "invalid_argument" : number} ${message}`;
  }
  const [json = "{}"] = /\{.*\}/s.exec(text) ?? [];
  const parsed = JSON.parse(json);
  const { code, message } = parsed.error ?? parsed;
  return `${code} ${message}`;
}

function envelope(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const badBinary = Buffer.of(0x0a, 5, 65);
const badUtf8 = Buffer.of(0x0a, 2, 0xc3, 0x28);
const gzip = gzipSync(Buffer.from("a message of some length".repeat(5)));

const framed = [
  ["a prefix that is cut short", Buffer.of(0, 0, 0), undefined],
  ["a message that is cut short", envelope(Buffer.alloc(40)).subarray(0, 20), undefined],
  ["bytes after the message", Buffer.concat([envelope(Buffer.alloc(0)), Buffer.of(0)]), undefined],
  ["a message that is no protobuf", envelope(badBinary), undefined],
  ["text that is not UTF-8", envelope(badUtf8), undefined],
  ["flags that nobody knows", envelope(Buffer.alloc(0), 0x40), undefined],
  ["compression that no header names", envelope(gzip, 1), undefined],
  ["gzip that is none", envelope(Buffer.from("plain"), 1), "gzip"],
  ["gzip that is cut short", envelope(gzip.subarray(0, 20), 1), "gzip"],
  ["gzip of what is no protobuf", envelope(gzipSync(badBinary), 1), "gzip"],
] as const;

const protocols = [
  { type: "application/grpc", path: STREAM, encoding: "grpc-encoding" },
  { type: "application/grpc+proto", path: UNARY, encoding: "grpc-encoding" },
  { type: "application/grpc-web+proto", path: STREAM, encoding: "grpc-encoding" },
  { type: "application/grpc-web", path: UNARY, encoding: "grpc-encoding" },
  { type: "application/connect+proto", path: STREAM, encoding: "connect-content-encoding" },
] as const;

const badJson = [
  ["no JSON", "{"],
  ["another type", '{"hardware_id":{}}'],
  ["a list", "[]"],
  ["an endless string", '{"hardware_id":"'],
] as const;

const toInvalid = /^invalid_argument ./;

/** Names of files, and lines of a stack. */
const insides = /node_modules|\.ts|\.js|\n\s+at /;

async function expectInvalid(status: Promise<string>): Promise<void> {
  expect(await status).toMatch(toInvalid);
  expect(await status).not.toMatch(insides);
}

describe.each(protocols)("a body of $type to $path", ({ type, path, encoding }) => {
  it.each(framed)("is INVALID_ARGUMENT with %s", async (_, body, named) => {
    const headers = named === undefined ? {} : { [encoding]: named };
    await expectInvalid(statusOf({ path, type, headers, body }));
  });
});

describe.each([
  ["application/grpc+json", STREAM],
  ["application/grpc-web+json", STREAM],
  ["application/connect+json", STREAM],
  ["application/json", UNARY],
])("JSON of %s", (type, path) => {
  it.each(badJson)("is INVALID_ARGUMENT where it is %s", async (_, text) => {
    const bytes = Buffer.from(text);
    const body = type === "application/json" ? bytes : envelope(bytes);
    await expectInvalid(statusOf({ path, type, body }));
  });
});

describe("a long string of JSON", () => {
  const type = "application/connect+json";

  it("reaches its field whole, with its escapes undone", async () => {
    const prompts: string[] = [];
    const languageModel = createScriptedLanguageModel(({ text }) => {
      prompts.push(text);
      return ["Fine."];
    });
    await using other = await startGateway({ languageModels: [languageModel] });
    const text = `{"prompt":"${"\\u0061".repeat(50_000)}","hardware_id":"d"}`;
    const answer = await fetch(other.httpUrl + STREAM, {
      method: "POST",
      headers: { "content-type": type },
      body: new Uint8Array(envelope(Buffer.from(text))),
    });
    expect(await answer.text()).toContain("Fine.");
    expect(prompts).toEqual(["a".repeat(50_000)]);
  });

  it("is held to its field's rule", async () => {
    const body = envelope(Buffer.from(`{"prompt":"${"x".repeat(300_000)}","hardwareId":"d"}`));
    const status = await statusOf({ path: STREAM, type, body });
    expect(status).toBe("invalid_argument prompt must be at most 65536 bytes of UTF-8");
  });
});

describe("a body of a unary Connect call", () => {
  it.each([
    ["no protobuf", badBinary, {}],
    ["no gzip", Buffer.from("plain"), { "content-encoding": "gzip" }],
    ["gzip that is cut short", gzip.subarray(0, 20), { "content-encoding": "gzip" }],
  ])("is INVALID_ARGUMENT where it is %s", async (_, body, headers) => {
    await expectInvalid(statusOf({ path: UNARY, type: "application/proto", headers, body }));
  });

  it("is UNIMPLEMENTED in another compression than gzip", async () => {
    const call = { path: UNARY, type: "application/proto", body: Buffer.from("x") };
    const status = await statusOf({ ...call, headers: { "content-encoding": "br" } });
    expect(status).toMatch(/^unimplemented .*supported encodings are gzip$/);
  });
});

describe("a GET of Connect", () => {
  const get = async (query: string) => {
    const answer = await fetch(`${gateway.httpUrl}/grpc.health.v1.Health/Check?${query}`);
    return readStatus({}, await answer.text());
  };

  it.each([
    ["no base64", "encoding=proto&base64=1&message=%21%21"],
    ["base64 of an odd length", "encoding=proto&base64=1&message=A"],
    ["no protobuf", `encoding=proto&base64=1&message=${badBinary.toString("base64url")}`],
    ["no JSON", "encoding=json&message=%7B"],
  ])("is INVALID_ARGUMENT where its message is %s", async (_, query) => {
    await expectInvalid(get(query));
  });

  it.each(["br", "gzip", ""])("takes no compression (%j)", async (compression) => {
    const query = `encoding=json&message=%7B%7D&compression=${compression}`;
    expect(await get(query)).toMatch(/^unimplemented GET takes no compressed message/);
  });

  it.each([
    "encoding=json&message=%7B%7D",
    "encoding=json&message=%7B%7D&compression=identity&connect=v1",
    "encoding=proto&base64=1&message=",
    "encoding=proto&base64=1&message=CgA",
    "encoding=proto&base64=1&message=CgA%3D",
  ])("answers what is well-formed: %s", async (query) => {
    const answer = await fetch(`${gateway.httpUrl}/grpc.health.v1.Health/Check?${query}`);
    expect(answer.status).toBe(200);
  });
});
