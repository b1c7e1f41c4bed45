import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { RequestPhase, StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type App, createApp } from "../server/app.ts";
import { scopes } from "../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../server/auth/token-file.ts";
import { readConfig } from "../server/config/config.ts";
import { startGateway } from "./support/gateway.ts";
import { PAUSED } from "./support/replies.ts";
import { closeAll, openRaw } from "./support/sockets.ts";

afterEach(closeAll);

/** A device has ten requests at once, and an address a hundred. */
const few = { RATE_LIMIT_REQUESTS: "1" };

const protocols = [
  ["gRPC", createGrpcTransport],
  ["gRPC-Web", createGrpcWebTransport],
  ["Connect", createConnectTransport],
] as const;

const clientOf = (url: string, transportOf: (typeof protocols)[number][1] = createGrpcTransport) =>
  createClient(StreamingService, transportOf({ baseUrl: url, httpVersion: "2" } as never));

/** Calls, ten at a time, until one is refused: no earlier and no later than a limit of `burst` explains. */
async function untilRefused<Answer>(
  burst: number,
  call: () => Promise<Answer>,
  isRefused: (answer: Answer) => boolean,
): Promise<Answer> {
  const startMs = performance.now();
  for (let passed = 0; ; ) {
    const answers = await Promise.all(Array.from({ length: 10 }, call));
    const refused = answers.filter(isRefused);
    passed += answers.length - refused.length;
    if (refused[0] !== undefined) {
      expect(passed).toBeGreaterThanOrEqual(burst);
      return refused[0];
    }
    const seconds = (performance.now() - startMs) / 1000;
    expect(passed).toBeLessThan(burst + 11 + (seconds * burst) / 10);
  }
}

/** The error of a call, as Connect has it; undefined if it succeeds. */
const errorOf = (call: Promise<unknown>): Promise<ConnectError | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );

/** The refusal of a client's calls, as its library tells it. */
async function refusalOf(burst: number, call: () => Promise<unknown>): Promise<ConnectError> {
  const error = await untilRefused(
    burst,
    () => errorOf(call()),
    (answer) => answer !== undefined,
  );
  return error as ConnectError;
}

function detailsOf(error: ConnectError) {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  return { reason: info?.reason, ...info?.metadata, seconds: Number(retry?.retryDelay?.seconds) };
}

describe.each(protocols)("a rate limit over %s", (_, transportOf) => {
  it("refuses a device with its name, and leaves others alone", async () => {
    await using gateway = await startGateway({ env: few });
    const client = clientOf(gateway.url, transportOf);
    const error = await refusalOf(10, () => client.interruptSession({ hardwareId: "a" }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.rawMessage).toBe("too many requests from this device; retry in 1 s");
    const limit = "device_requests";
    expect(detailsOf(error)).toEqual({ reason: "LIMIT_EXCEEDED", limit, seconds: 1 });
    await expect(client.interruptSession({ hardwareId: "b" })).resolves.toMatchObject({});
    expect(gateway.status().limits).toEqual({
      store: "process",
      refused: { [limit]: expect.any(Number) },
    });
  });

  it("refuses an address before its body is read", async () => {
    await using gateway = await startGateway({ env: few });
    const client = clientOf(gateway.url, transportOf);
    let calls = 0;
    const error = await refusalOf(100, () => client.interruptSession({ hardwareId: `${calls++}` }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(detailsOf(error)).toMatchObject({ limit: "address_requests", seconds: 1 });
    expect(error.metadata.get("retry-after")).toBe("1");
  });
});

describe("a rate limit", () => {
  const speak = (url: string, hardware_id: string) =>
    fetch(`${url}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "Hi.", hardware_id, format: "pcm" }),
    });

  it("is 429 over HTTP, with the limit's name and Retry-After", async () => {
    await using gateway = await startGateway({ env: few });
    const is429 = ({ status }: Response) => status === 429;
    const answer = await untilRefused(10, () => speak(gateway.httpUrl, "a"), is429);
    expect(answer.headers.get("retry-after")).toBe("1");
    const message = "too many requests from this device; retry in 1 s";
    const error = { code: "resource_exhausted", message, limit: "device_requests" };
    expect(await answer.json()).toEqual({ error });
    expect((await speak(gateway.httpUrl, "b")).status).toBe(200);
  });

  it.each(["/appcast.xml", "/status", "/no/such/path"])(
    "counts %s for its address, and never a probe",
    async (path) => {
      await using gateway = await startGateway({ env: few });
      const get = (each: string) => fetch(`${gateway.httpUrl}${each}`);
      const answer = await untilRefused(
        100,
        () => get(path),
        ({ status }) => status === 429,
      );
      expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
      for (const probe of ["/health", "/livez", "/readyz"]) {
        expect((await get(probe)).status).toBe(200);
      }
    },
  );

  it("counts bytes, lets a large request pass, and refuses the next one", async () => {
    // A proxy that names no client is not counted itself.
    const env = { RATE_LIMIT_BYTES: "100", TRUSTED_PROXIES: "127.0.0.1" };
    await using gateway = await startGateway({ env });
    const client = clientOf(gateway.url);
    const piece = { hardwareId: "a", sessionId: randomUUID(), phase: RequestPhase.COLLECT };
    const collect = () => client.streamAudio({ ...piece, chunkText: "x".repeat(60_000) });
    for await (const { content } of collect()) expect(content.value).toBe("COLLECT_ACCEPTED");
    const error = await errorOf(client.interruptSession({ hardwareId: "a" }));
    expect(error && detailsOf(error)).toMatchObject({ limit: "device_bytes" });
    await expect(client.interruptSession({ hardwareId: "b" })).resolves.toMatchObject({});
  });

  it("counts the clients behind a trusted proxy, by the address that the proxy has added", async () => {
    const env = { ...few, TRUSTED_PROXIES: "127.0.0.1" };
    await using gateway = await startGateway({ env });
    const get = (forwarded: string) =>
      fetch(`${gateway.httpUrl}/status`, { headers: { "x-forwarded-for": forwarded } });
    let made = 0;
    // What stands to the left is the client's own claim.
    const answer = await untilRefused(
      100,
      () => get(`198.51.100.${made++ % 250}, 203.0.113.9`),
      ({ status }) => status === 429,
    );
    expect(answer.headers.get("retry-after")).toBe("1");
    expect((await get("203.0.113.10")).status).toBe(200);
    expect((await fetch(`${gateway.httpUrl}/status`)).status).toBe(200);
  });

  it("refuses the device of a token before the body has come", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parley-limits-"));
    const { token, stored } = createToken({ device: "d", scopes });
    await writeTokenFile(join(folder, "tokens.json"), { tokens: [stored], revokedJwts: [] });
    const env = { ...few, DATA_DIR: folder, AUTH_MODE: "token" };
    await using gateway = await startGateway({ env });
    const ask = async () => {
      const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
      client.socket.write(
        `POST /v1/speak HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n`,
      );
      const timer = setTimeout(() => client.socket.end("{broken}}"), 200);
      const text = await client.closed();
      clearTimeout(timer);
      return text;
    };
    const refused = (text: string) => text.startsWith("HTTP/1.1 429");
    const text = await untilRefused(10, ask, refused);
    expect(text).toMatch(/retry-after: 1\r\n/i);
    expect(text).toContain('"limit":"device_requests"');
    await rm(folder, { recursive: true });
  });

  it("closes a WebSocket that sends too many messages, and says when to come back", async () => {
    await using gateway = await startGateway({ env: few });
    const open = () => new WebSocket(`ws://127.0.0.1:${gateway.httpPort}/v1/realtime?model=parley`);
    const socket = open();
    await once(socket, "open");
    for (let sent = 0; sent < 120; sent++) socket.send('{"type":"session.update","session":{}}');
    const [code, reason] = await once(socket, "close");
    expect(code).toBe(1013);
    expect(`${reason}`).toBe("too many requests from this address; retry in 1 s");
    const [, response] = await once(open(), "unexpected-response");
    expect(response.statusCode).toBe(429);
    expect(response.headers["retry-after"]).toBe("1");
    response.destroy();
  });

  it("tells a client of Wyoming in an event, and ends its connection", async () => {
    const ports = { GRPC_PORT: "0", HTTP_PORT: "0", WYOMING_PORT: "0", SHUTDOWN_GRACE: "0" };
    const env = { ...ports, ...few, STORAGE_ENABLED: "false", LOG_LEVEL: "silent" };
    const app: App = createApp(readConfig(env));
    const { wyoming } = await app.start();
    const socket = connect(wyoming?.port ?? 0, "127.0.0.1");
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    for (let sent = 0; sent < 120; sent++) socket.write('{"type":"ping"}\n');
    await once(socket, "close");
    const sent = text.trim().split("\n").at(-1) ?? "";
    expect(text).toContain('"type":"error"');
    expect(sent).toContain("too many requests from this address; retry in 1 s");
    expect(sent).toContain('"code":"resource_exhausted"');
    await app.stop();
  });
});

describe("the limit of streams", () => {
  it("is named, with a retry hint", async () => {
    await using gateway = await startGateway({ env: { MAX_SESSIONS: "1" } });
    const client = clientOf(gateway.url);
    const leave = new AbortController();
    const talk = (hardwareId: string) =>
      client.streamAudio({ prompt: PAUSED.prompt, hardwareId }, leave)[Symbol.asyncIterator]();
    await talk("a").next();
    const error = await errorOf(talk("b").next());
    const limit = "streams";
    expect(error && detailsOf(error)).toEqual({ reason: "LIMIT_EXCEEDED", limit, seconds: 2 });
    leave.abort();
  });
});
