import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import type { PortOptions } from "../../server/transport/port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { answerOf, closeAll, openHttp2, openPort, openRaw } from "../support/sockets.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";

const gateways: Gateway[] = [];
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await closeAll();
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const never = new Promise<never>(() => undefined);
const answer: Handle = ({ url }, response) => void (url === "/held" || response.end("ok"));
const goawayOf = async (session: ClientHttp2Session) => Number((await once(session, "goaway"))[0]);
const ENHANCE_YOUR_CALM = 11;

/** A gateway whose model says one sentence and then nothing more to "hold", and much to others. */
async function openGateway(env: Record<string, string> = {}): Promise<Gateway> {
  const languageModel = createScriptedLanguageModel(({ text }) =>
    text === "hold" ? ["One. T", never] : ["A sentence of some length. ".repeat(2000)],
  );
  const gateway = await startGateway({
    languageModels: [languageModel],
    synthesizers: [createSpellingVoice()],
    env: { MAX_PROCESSING_TIME: "600", ...env },
  });
  gateways.push(gateway);
  return gateway;
}

describe("idleTimeoutMs", () => {
  const limits = { idleTimeoutMs: 300, pingIntervalMs: 50 };

  it("closes an HTTP/2 connection without a request, by GOAWAY first, though it pings", async () => {
    const { address, port } = await openPort({ handle: answer, limits });
    const session = await openHttp2(address);
    const pinging = setInterval(() => session.destroyed || session.ping(() => undefined), 20);
    expect((await answerOf(session.request({}))).body).toBe("ok");
    expect(await goawayOf(session)).toBe(0);
    clearInterval(pinging);
    await vi.waitUntil(() => port.connections() === 0, 10_000);
  });

  it("leaves a connection alone while a request is in progress", async () => {
    const { address, port } = await openPort({ handle: answer, limits });
    const session = await openHttp2(address);
    const held = session.request({ ":path": "/held" });
    held.on("error", () => undefined);
    await wait(900);
    expect(port.connections()).toBe(1);
    held.close(8);
    expect(await goawayOf(session)).toBe(0);
  });
});

describe("pings and resets", () => {
  const rate = { burst: 30, perSecond: 1 };
  const limits = { pings: rate, resets: rate, freePerInterval: 5 };

  /** Does it up to 30 times over one connection. Answers how it was sent away, if it was. */
  async function over(session: ClientHttp2Session, act: () => Promise<unknown>) {
    let code: number | undefined;
    session.once("goaway", (errorCode) => {
      code = errorCode;
    });
    for (let time = 0; time < 30 && !session.destroyed && !session.closed; time++) await act();
    await wait(20);
    return code;
  }

  // The answer to a ping, or the end of its session: either way its callback is called.
  const ping = (session: ClientHttp2Session) => () =>
    new Promise<void>((resolve) => void session.ping(() => resolve()));
  const reset = (session: ClientHttp2Session) => async () => {
    const stream = session.request({ ":path": "/held" });
    stream.on("error", () => undefined);
    await wait(3);
    stream.close(8);
    await wait(3);
  };

  it.each([
    ["pings", ping],
    ["resets", reset],
  ])("are bounded across reconnects of one address: %s", async (_what, act) => {
    const { address } = await openPort({ handle: answer, limits });
    const neighbour = await openHttp2(address);
    const codes: (number | undefined)[] = [];
    for (let time = 0; time < 4; time++) {
      const session = await openHttp2(address);
      codes.push(await over(session, act(session)));
    }
    expect(codes[0]).toBeUndefined();
    expect(codes.slice(1)).toEqual([ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM]);
    await act(neighbour)();
    expect((await answerOf(neighbour.request({}))).body).toBe("ok");
  });

  it("of another address, or of a proxy, are not bounded with them", async () => {
    const isProxy: PortOptions["isProxy"] = (address) => address === "127.0.0.3";
    const { address } = await openPort({ handle: answer, limits, isProxy });
    const from = async (localAddress: string) => {
      const session = connectHttp2(`http://127.0.0.1:${address.port}`, {
        createConnection: () => connect({ ...address, localAddress }),
      });
      sessions.push(session);
      session.on("error", () => undefined);
      await once(session, "connect");
      return await over(session, ping(session));
    };
    expect([await from("127.0.0.1"), await from("127.0.0.1")]).toEqual([
      undefined,
      ENHANCE_YOUR_CALM,
    ]);
    expect(await from("127.0.0.2")).toBeUndefined();
    expect([await from("127.0.0.3"), await from("127.0.0.3")]).toEqual([undefined, undefined]);
  });
});

describe("maxConnectionsPerAddress", () => {
  it("bounds the connections of one address, and of no other", async () => {
    const { address, port } = await openPort({
      handle: answer,
      limits: { maxConnectionsPerAddress: 2 },
      isProxy: (from) => from === "127.0.0.3",
    });
    const from = (localAddress: string) => openRaw(address, localAddress);
    const [first] = [await from("127.0.0.1"), await from("127.0.0.1")];
    expect(await (await from("127.0.0.1")).closed()).toBe("");
    await from("127.0.0.2");
    for (let time = 0; time < 4; time++) await from("127.0.0.3");
    await vi.waitUntil(() => port.connections() === 7, 10_000);
    first.socket.destroy();
    await vi.waitUntil(() => port.connections() === 6, 10_000);
    const next = await from("127.0.0.1");
    next.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await next.until("ok");
  });
});

const speak = (prompt: string, device: string) => {
  const body = JSON.stringify({ prompt, hardware_id: device, format: "sse" });
  return `POST /v1/speak HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

describe("a client that closes while its requests are pipelined", () => {
  it.each(["ends", "resets", "closes"])("ends them at once when it %s", async (how) => {
    const gateway = await openGateway();
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    client.socket.write(speak("hold", "a") + speak("go", "b"));
    await client.until("One.");
    // Time for the second to make more than a connection holds, if it ran.
    await wait(300);
    client.socket.write(speak("go", "c"));
    await wait(100);
    const sinceMs = performance.now();
    if (how === "ends") client.socket.end();
    else if (how === "resets") client.socket.resetAndDestroy();
    else client.socket.destroy();
    await gateway.untilIdle();
    expect(performance.now() - sinceMs).toBeLessThan(1000);
  });

  it("is cut off, and its turn with it, with more than 100 requests waiting", async () => {
    const gateway = await openGateway();
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    const get = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.socket.write(speak("hold", "a") + get.repeat(100));
    await client.until("One.");
    await wait(100);
    expect(gateway.status().activeSessions).toBe(1);
    client.socket.write(get);
    await client.closed();
    await gateway.untilIdle();
  });

  it("gets the answers in their order while it stays", async () => {
    const gateway = await openGateway();
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    client.socket.write(get("/status") + get("/none") + get("/health"));
    expect(await client.until('"status":"ok"')).toMatch(/200 OK.*404 Not Found.*200 OK/s);
  });
});

describe("a client that closes its half and reads nothing", () => {
  it("ends its turn at once", async () => {
    const gateway = await openGateway();
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    client.socket.write(speak("go", "a"));
    await client.until("audio");
    client.socket.pause();
    await wait(500);
    const sinceMs = performance.now();
    client.socket.end();
    await gateway.untilIdle();
    expect(performance.now() - sinceMs).toBeLessThan(1000);
  });
});

describe("streams by connection and in all", () => {
  const open = (gateway: Gateway) => createGrpcTransport({ baseUrl: gateway.url });

  /** Starts a turn, and answers once it speaks. */
  async function hold(transport: Transport, hardwareId: string) {
    const client = createClient(StreamingService, transport);
    const aborter = new AbortController();
    const stream = client.streamAudio({ prompt: "hold", hardwareId }, { signal: aborter.signal });
    await stream[Symbol.asyncIterator]().next();
    return aborter;
  }

  async function watch(transport: Transport) {
    const aborter = new AbortController();
    const stream = createClient(Health, transport).watch({}, { signal: aborter.signal });
    await stream[Symbol.asyncIterator]().next();
    return aborter;
  }

  const refused = async (promise: Promise<unknown>) => {
    const error = ConnectError.from(
      await promise.then(
        () => "no error",
        (reason) => reason,
      ),
    );
    expect(error.code).toBe(Code.ResourceExhausted);
    return error.rawMessage;
  };

  it("are bounded over one connection, whatever devices it names", async () => {
    const gateway = await openGateway({ MAX_SESSIONS_PER_CONNECTION: "3" });
    const transport = open(gateway);
    await hold(transport, "a");
    await hold(transport, "b");
    const watching = await watch(transport);
    expect(await refused(hold(transport, "c"))).toContain("this connection runs 3 streams already");
    expect(await refused(watch(transport))).toContain("this connection runs 3 streams already");
    await hold(open(gateway), "c");
    const { interruptedSessions } = await createClient(
      StreamingService,
      transport,
    ).interruptSession({
      hardwareId: "a",
    });
    expect(interruptedSessions).toHaveLength(1);
    watching.abort();
    await vi.waitFor(() => watch(transport), 10_000);
    await hold(transport, "d");
  });

  it("count a Health.Watch in all", async () => {
    const gateway = await openGateway({ MAX_SESSIONS: "2" });
    const watching = await watch(open(gateway));
    await hold(open(gateway), "a");
    expect(await refused(watch(open(gateway)))).toContain("gateway busy; retry in 2 s");
    expect(await refused(hold(open(gateway), "b"))).toContain("gateway busy; retry in 2 s");
    expect(gateway.status().activeSessions).toBe(1);
    watching.abort();
    await vi.waitFor(() => hold(open(gateway), "b"), 10_000);
  });

  it("count the turns of /v1/speak", async () => {
    const gateway = await openGateway({ MAX_SESSIONS_PER_CONNECTION: "1" });
    const session = connectHttp2(gateway.httpUrl);
    sessions.push(session);
    const ask = (device: string) => {
      const body = JSON.stringify({ prompt: "hold", hardware_id: device });
      const stream = session.request({
        ":method": "POST",
        ":path": "/v1/speak",
        "content-type": "application/json",
        "content-length": body.length,
      });
      stream.end(body);
      return stream;
    };
    const first = ask("a").on("error", () => undefined);
    await once(first, "data");
    expect((await answerOf(ask("b"))).status).toBe(429);
  });
});

describe("a client's deadline beyond 24.8 days", () => {
  const message = Buffer.alloc(5);
  const cases = [
    ["application/grpc", { "grpc-timeout": "99999999H" }],
    ["application/grpc", { "grpc-timeout": "2147484S" }],
    ["application/grpc-web", { "grpc-timeout": "99999999M" }],
    ["application/json", { "connect-timeout-ms": "9999999999" }],
  ] as const;

  it.each(cases)("works (%s, %j), without a warning", async (type, deadline) => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on("warning", note);
    const gateway = await openGateway();
    const session = connectHttp2(gateway.url);
    sessions.push(session);
    const path = "/grpc.health.v1.Health/Check";
    const headers = { ":method": "POST", ":path": path, "content-type": type, ...deadline };
    const stream = session.request(headers);
    let status: unknown = "0";
    stream.on("response", (got) => (status = got["grpc-status"] ?? status));
    stream.on("trailers", (got) => (status = got["grpc-status"] ?? status));
    const { body } = await answerOf(stream.end(type.includes("json") ? "{}" : message));
    await new Promise(setImmediate);
    process.off("warning", note);
    expect(status).toBe("0");
    // SERVING, as a name in JSON and as a field of one byte in the others.
    expect(body).toContain(type === "application/json" ? "SERVING" : "\x08\x01");
    expect(warnings.filter(({ name }) => name === "TimeoutOverflowWarning")).toEqual([]);
  });
});
