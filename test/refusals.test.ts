import { create, toBinary } from "@bufbuild/protobuf";
import { Code, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type Client, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  InterruptRequestSchema,
  StreamingService,
  StreamRequestSchema,
} from "../gen/streaming/streaming_pb.ts";
import { bothHttp, type WireRequest } from "./support/both-http.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { closeAll } from "./support/sockets.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterEach(closeAll);
afterAll(() => gateway.stop());

const service = "/streaming.StreamingService";
const interrupt = `${service}/InterruptSession`;
const stream = `${service}/StreamAudio`;

const envelope = (message: Uint8Array) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};
const device = toBinary(
  InterruptRequestSchema,
  create(InterruptRequestSchema, { hardwareId: "d" }),
);
const typed = (type: string) => ({ headers: { "content-type": type } });
const methodsNamed =
  "streaming.StreamingService has no method Nope; it has StreamAudio, InterruptSession, GenerateWelcomeAudio, ReportUsage";
const unknownPaths = [
  [`${service}/Nope`, methodsNamed],
  ["/other.Service/Call", "there is no service other.Service"],
] as const;

/** The trailers in the last frame of a gRPC-Web body. */
function readWebTrailers(body: Buffer): string {
  expect(body[0]).toBe(0x80);
  expect(body.readUInt32BE(1)).toBe(body.length - 5);
  return body.subarray(5).toString();
}

describe.each(bothHttp)("a refusal over $version", ({ ask: send }) => {
  const ask = (request: WireRequest) => send(gateway.httpPort, request);

  it.each(
    unknownPaths.flatMap(([path, message]) =>
      ["application/grpc", "application/grpc+proto", "Application/GRPC+Proto"].map(
        (type) => [path, type, message] as const,
      ),
    ),
  )("is gRPC's trailers alone for %s as %s", async (path, type, message) => {
    const request = {
      path,
      body: envelope(device),
      headers: { "content-type": type, te: "trailers" },
    };
    const answer = await ask(request);
    expect(answer).toMatchObject({ status: 200, headersAlone: true });
    expect(answer.headers).toMatchObject({
      "content-type": type.toLowerCase(),
      "grpc-status": "12",
      "grpc-message": message,
    });
  });

  it.each(unknownPaths)("is gRPC-Web's frame of trailers for %s", async (path, message) => {
    const trailers = `grpc-status: 12\r\ngrpc-message: ${message}\r\n`;
    const binary = await ask({ path, ...typed("application/grpc-web+proto") });
    expect(binary.status).toBe(200);
    expect(binary.headers["content-type"]).toBe("application/grpc-web+proto");
    expect(readWebTrailers(binary.body)).toBe(trailers);
    const text = await ask({ path, ...typed("application/grpc-web-text") });
    expect(text.status).toBe(200);
    expect(text.headers["content-type"]).toBe("application/grpc-web-text");
    expect(readWebTrailers(Buffer.from(text.body.toString(), "base64"))).toBe(trailers);
  });

  it.each<[string, WireRequest]>([
    ["of a known service", { path: `${service}/Nope`, ...typed("application/json") }],
    ["of a stream", { path: "/other.Service/Call", ...typed("application/connect+proto") }],
    ["in binary", { path: "/other.Service/Call", ...typed("application/proto") }],
    [
      "by its header",
      {
        path: "/other.Service/Call",
        headers: { "content-type": "application/json", "connect-protocol-version": "1" },
      },
    ],
    ["by GET", { method: "GET", path: "/other.Service/Call?connect=v1&encoding=json&message={}" }],
  ])("is Connect's 404 and JSON for an unknown method %s", async (_, request) => {
    const answer = await ask(request);
    expect(answer.status).toBe(404);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(answer.body.toString())).toEqual({
      code: "unimplemented",
      message: expect.stringMatching(/^(there is no service|streaming\.StreamingService has no)/),
    });
  });

  it.each([
    ["GET", interrupt, "POST", "POST"],
    ["PUT", stream, "POST", "POST"],
    ["HEAD", stream, "POST", ""],
    ["DELETE", "/grpc.health.v1.Health/Check", "GET, POST", "GET and POST"],
    ["GET", "/grpc.health.v1.Health/Watch", "POST", "POST"],
  ])("of %s %s is 405 and names what is taken", async (method, path, allow, named) => {
    const answer = await ask({ method, path });
    expect(answer.status).toBe(405);
    expect(answer.headers["allow"]).toBe(allow);
    if (method === "HEAD") return;
    expect(JSON.parse(answer.body.toString())).toEqual({
      code: "unimplemented",
      message: `${path} takes ${named} only`,
    });
  });

  it.each([
    [interrupt, "text/html", "application/json"],
    [interrupt, "application/jsonx", "application/json"],
    [interrupt, "application/json; charset=latin1", "application/json"],
    [interrupt, "application/connect+json", "application/json"],
    [interrupt, "application/grpc-webx", "application/grpc-web+proto"],
    [interrupt, "application/grpc+avro", "application/grpc+proto"],
    [interrupt, "application/grpc-web-text+json", "application/grpc-web-text+proto"],
    [interrupt, "", "application/proto"],
    [stream, "application/json", "application/connect+json"],
    [stream, "application/connectproto", "application/connect+proto"],
  ])("of %s as %j is 415 and names what is taken", async (path, type, taken) => {
    const answer = await ask({ path, ...(type && typed(type)), body: "{}" });
    expect(answer.status).toBe(415);
    const { code, message } = JSON.parse(answer.body.toString());
    expect(code).toBe("invalid_argument");
    expect(message).toMatch(/^content-type must be one of /);
    expect(message.slice("content-type must be one of ".length).split(", ")).toContain(taken);
    expect(message).toContain("application/grpc-web-text");
  });

  it("of a GET without its encoding is 415 and names what is taken", async () => {
    const answer = await ask({ method: "GET", path: "/grpc.health.v1.Health/Check?message=" });
    expect(answer.status).toBe(415);
    expect(answer.body.toString()).toContain("encoding must be json or proto");
  });

  it.each([
    ["APPLICATION/JSON", '{"hardware_id":"d"}'],
    ["application/json; charset=utf-8", '{"hardware_id":"d"}'],
    ['Application/Json;charset="UTF-8"', '{"hardware_id":"d"}'],
    ["Application/Proto", device],
    ["application/GRPC-Web+Proto", envelope(device)],
    ["Application/grpc-web-TEXT", envelope(device).toString("base64")],
    ["application/Grpc", envelope(device)],
    ["application/grpc; charset=utf-8", envelope(device)],
  ])("does not meet the media type %s", async (type, body) => {
    const answer = await ask({ path: interrupt, ...typed(type), body });
    expect(answer.status).toBe(200);
    const bytes = /text/i.test(type) ? Buffer.from(answer.body.toString(), "base64") : answer.body;
    expect(bytes.toString("latin1")).toContain("nothing was in progress");
  });

  it.each([
    ["application/json", 200],
    ["Application/JSON ; charset=UTF-8", 200],
    ["application/jsonx", 415],
    ["application/json+x", 415],
    ["text/plain", 415],
  ])("of /v1/speak compares %j exactly: %i", async (type, status) => {
    const body = JSON.stringify({ prompt: "Hi.", hardware_id: "d", format: "pcm" });
    const answer = await ask({ path: "/v1/speak", ...typed(type), body });
    expect(answer.status).toBe(status);
    if (status === 415) expect(answer.body.toString()).toContain("must be application/json");
  });

  it.each(["unknown", "Unknown", "UNKNOWN", " unknown "])(
    "meets the hardware_id %j in every protocol",
    async (hardwareId) => {
      const wanted = 'hardware_id must not be \\"unknown\\"';
      const fields = { prompt: "Hi.", hardware_id: hardwareId };
      const json = await ask({
        path: interrupt,
        ...typed("application/json"),
        body: JSON.stringify({ hardware_id: hardwareId }),
      });
      expect([json.status, JSON.parse(json.body.toString()).code]).toEqual([
        400,
        "invalid_argument",
      ]);
      const speak = await ask({
        path: "/v1/speak",
        ...typed("application/json"),
        body: JSON.stringify(fields),
      });
      expect([speak.status, speak.body.toString()]).toEqual([400, expect.stringContaining(wanted)]);
      const message = create(StreamRequestSchema, { prompt: "Hi.", hardwareId });
      const body = envelope(toBinary(StreamRequestSchema, message));
      const grpc = await ask({ path: stream, body, ...typed("application/grpc") });
      expect({ ...grpc.headers, ...grpc.trailers }["grpc-status"]).toBe("3");
      const web = await ask({ path: stream, body, ...typed("application/grpc-web") });
      expect(readWebTrailers(web.body)).toContain("grpc-status: 3\r\n");
      const connect = await ask({ path: stream, body, ...typed("application/connect+proto") });
      expect(JSON.parse(connect.body.subarray(5).toString()).error.code).toBe("invalid_argument");
    },
  );
});

describe("an unknown method", () => {
  const transports: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
    ["connect-node, gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
    ...(["1.1", "2"] as const).flatMap(
      (httpVersion) =>
        [
          [
            `connect-node, gRPC-Web, HTTP/${httpVersion}`,
            (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion }),
          ],
          [
            `connect-node, Connect, HTTP/${httpVersion}`,
            (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion }),
          ],
        ] as const,
    ),
  ];

  it.each(transports)("is UNIMPLEMENTED to %s, called once or streamed", async (_, open) => {
    const transport = open(gateway.url);
    const { interruptSession, streamAudio } = StreamingService.method;
    const unary = { ...interruptSession, name: "Nope" };
    const call = transport.unary(unary, undefined, 5000, undefined, { hardwareId: "d" });
    await expect(call).rejects.toMatchObject({ code: Code.Unimplemented });
    const streamed = { ...streamAudio, name: "Nope" };
    const read = async () => {
      const asked = (async function* () {
        yield { prompt: "Hi.", hardwareId: "d" };
      })();
      const response = await transport.stream(streamed, undefined, 5000, undefined, asked);
      await Array.fromAsync(response.message);
    };
    await expect(read()).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  it("is UNIMPLEMENTED to grpc-js, with the gateway's words", async () => {
    const Generic = makeGenericClientConstructor({}, "other.Service");
    const client = new Generic(`127.0.0.1:${gateway.grpcPort}`, credentials.createInsecure());
    const error = await new Promise<unknown>((resolve) => call(client, resolve));
    client.close();
    expect(error).toMatchObject({ code: 12, details: "there is no service other.Service" });
  });
});

function call(client: Client, done: (error: unknown) => void): void {
  const same = (bytes: Buffer) => bytes;
  client.makeUnaryRequest("/other.Service/Call", same, same, Buffer.alloc(0), done);
}
