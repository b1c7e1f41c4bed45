import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { createCertificate } from "../server/transport/tls.ts";
import { makeCertificate, type TestCertificate, writeCertificate } from "./support/certificates.ts";
import { startChildGateway } from "./support/child-gateway.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { PAUSED } from "./support/replies.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";
import { closeAll, openPort } from "./support/sockets.ts";

const WAIT = { timeout: 10_000, interval: 50 };
let first: TestCertificate;
let second: TestCertificate;
beforeAll(() => {
  first = makeCertificate("first");
  second = makeCertificate("second");
});
afterEach(closeAll);

/** The name in the certificate that a new connection sees, and the protocol that ALPN chose. */
async function shownBy(port: number, ALPNProtocols = ["h2"]) {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  const { alpnProtocol } = socket;
  socket.destroy();
  return { name: subject.CN, alpnProtocol };
}

describe("a gateway with USE_TLS", () => {
  let files: ReturnType<typeof writeCertificate>;
  let gateway: Gateway;
  beforeAll(async () => {
    files = writeCertificate(first);
    gateway = await startGateway({ env: files.env });
  });
  afterAll(async () => {
    await gateway.stop();
    files[Symbol.dispose]();
  });

  const curl = async (...args: readonly string[]) => {
    const ca = ["--cacert", files.env.TLS_CERT_FILE];
    const { stdout } = await promisify(execFile)("curl", ["-sS", "-i", ...ca, ...args]);
    return stdout;
  };

  it.each([
    ["http1.1", "HTTP/1.1 200"],
    ["http2", "HTTP/2 200"],
  ])("answers curl over %s on the same port", async (version, statusLine) => {
    const url = `https://localhost:${gateway.httpPort}/health`;
    const text = await curl(`--${version}`, url);
    expect(text).toContain(statusLine);
    expect(text).toContain('"status":"ok"');
  });

  it("answers a gRPC client of Google's, which asks for h2 by ALPN", async () => {
    const secrets = credentials.createSsl(Buffer.from(first.cert));
    const client = new Client(`localhost:${gateway.grpcPort}`, secrets);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const bytes = (value: Buffer) => value;
    client.makeUnaryRequest(
      "/streaming.StreamingService/InterruptSession",
      bytes,
      bytes,
      // hardware_id=1, of one letter.
      Buffer.from([10, 1, 97]),
      (error, value) => (error ? reject(error) : resolve(value ?? Buffer.alloc(0))),
    );
    expect((await promise).toString()).toContain("nothing was in progress");
    client.close();
  });

  it("opens a WebSocket", async () => {
    const url = `wss://localhost:${gateway.httpPort}/v1/realtime?model=parley`;
    const socket = new WebSocket(url, { ca: first.cert });
    const [message] = await once(socket, "message");
    expect(JSON.parse(`${message}`)).toMatchObject({ type: "session.created" });
    socket.close();
    await once(socket, "close");
  });

  it.each([
    ["voice.example", /^strict-transport-security: max-age=15552000\r$/im],
    ["localhost", /^(?![\s\S]*strict-transport-security)/i],
  ])("asks browsers for TLS alone (HSTS), or not, as %s", async (host, expected) => {
    const to = ["--resolve", `${host}:${gateway.httpPort}:127.0.0.1`];
    expect(await curl(...to, `https://${host}:${gateway.httpPort}/health`)).toMatch(expected);
  });

  it("answers nothing in plain text", async () => {
    const socket = connectTcp(gateway.httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    let bytes = Buffer.alloc(0);
    socket.on("data", (piece) => {
      bytes = Buffer.concat([bytes, piece]);
    });
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(socket, "close");
    expect(bytes.toString("latin1")).not.toContain("HTTP/");
  });

  it.each([
    ["TLS 1.1", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["another protocol", { ALPNProtocols: ["spdy/3"] }],
  ] as const)("refuses a client that offers nothing but %s", async (_, options) => {
    const peer = { port: gateway.httpPort, host: "127.0.0.1", rejectUnauthorized: false };
    const socket = connectTls({ ...peer, ...options, ALPNProtocols: ["spdy/3"] });
    const [error] = await once(socket, "error");
    expect(error.code).toMatch(/^ERR_SSL|ECONNRESET/);
  });

  it("closes a connection that speaks another protocol than its client chose", async () => {
    const peer = { port: gateway.httpPort, host: "127.0.0.1", rejectUnauthorized: false };
    const socket = connectTls({ ...peer, ALPNProtocols: ["h2"] });
    socket.on("error", () => undefined);
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(socket, "close");
    expect(text).toBe("");
  });
});

describe("a new certificate", () => {
  it("is shown to new connections, while a stream goes on over the old one", async () => {
    using files = writeCertificate(first);
    const gate = Promise.withResolvers<string>();
    const languageModels = [
      createScriptedLanguageModel(() => [...PAUSED.sentences, gate.promise, "All done."]),
    ];
    await using gateway = await startGateway({ languageModels, env: files.env });
    const baseUrl = gateway.url.replace("http:", "https:");
    const transport = createGrpcTransport({ baseUrl, nodeOptions: { ca: first.cert } });
    const stream = createClient(StreamingService, transport).streamAudio({
      prompt: "Count.",
      hardwareId: "a",
    });
    const texts: string[] = [];
    let end = "";
    const read = (async () => {
      for await (const { content } of stream) {
        if (content.case === "textChunk") texts.push(content.value);
        if (content.case === "endMessage") end = content.value;
      }
    })();
    await vi.waitFor(() => expect(texts).not.toEqual([]), WAIT);
    expect(await shownBy(gateway.grpcPort)).toEqual({ name: "first", alpnProtocol: "h2" });
    files.write(second);
    await vi.waitFor(async () => {
      expect((await shownBy(gateway.grpcPort)).name).toBe("second");
    }, WAIT);
    expect((await shownBy(gateway.httpPort, ["http/1.1"])).name).toBe("second");
    gate.resolve("");
    await read;
    expect([texts.join(""), end]).toEqual([`${PAUSED.sentences.join("")}All done.`, "done"]);
  });

  it("that does not belong to its key is refused and told, and the old one stays", async () => {
    using files = writeCertificate(first);
    await using gateway = await startGateway({ env: files.env });
    expect(gateway.status().tls).toMatchObject({ state: "ok" });
    files.write({ cert: second.cert, key: first.key });
    await vi.waitFor(() => expect(gateway.status().tls.state).toBe("degraded"), WAIT);
    expect(gateway.status().tls).toMatchObject({
      lastError: expect.stringMatching(/^TLS_CERT_FILE and TLS_KEY_FILE are no certificate/),
    });
    expect((await shownBy(gateway.httpPort)).name).toBe("first");
    files.write(second);
    await vi.waitFor(() => expect(gateway.status().tls.state).toBe("ok"), WAIT);
    expect((await shownBy(gateway.httpPort)).name).toBe("second");
  });

  it("is read at SIGHUP, which ends a gateway without TLS", async () => {
    using files = writeCertificate(first);
    await using gateway = await startChildGateway({ ...files.env, LOG_LEVEL: "info" });
    await using plain = await startChildGateway();
    files.write(second);
    for (const { process } of [gateway, plain]) process.kill("SIGHUP");
    await vi.waitFor(async () => {
      expect((await shownBy(gateway.httpPort)).name).toBe("second");
    }, WAIT);
    expect(gateway.log()).toContain("certificate reloaded");
    await vi.waitFor(() => expect(plain.process.exitCode).toBe(0), WAIT);
    expect(gateway.process.exitCode).toBeNull();
  });
});

describe("createCertificate", () => {
  const open = (files: ReturnType<typeof writeCertificate>) => {
    const told: string[] = [];
    const certificate = createCertificate({
      certFile: files.env.TLS_CERT_FILE,
      keyFile: files.env.TLS_KEY_FILE,
      watchMs: 3_600_000,
      onReload: ({ validTo }) => told.push(validTo),
      onError: ({ message }) => told.push(message),
    });
    return { certificate, told };
  };

  it("reads new files when it is told to, and reports each pair once", async () => {
    using files = writeCertificate(first);
    const { certificate, told } = open(files);
    await certificate.start();
    await certificate.reload();
    expect(told).toEqual([]);
    files.write(second);
    await Promise.all([certificate.reload(), certificate.reload()]);
    expect(certificate.pair().cert.toString()).toBe(second.cert);
    files.write({ ...first, key: "no key" });
    await certificate.reload();
    await certificate.reload();
    expect(told).toEqual([certificate.status().validTo, expect.stringContaining("TLS_KEY_FILE")]);
    certificate.stop();
  });

  it("does not start with files that are missing, and names the setting", async () => {
    const files = writeCertificate(first);
    files[Symbol.dispose]();
    const { certificate } = open(files);
    await expect(certificate.start()).rejects.toThrow(
      "the file of TLS_CERT_FILE cannot be read (ENOENT)",
    );
  });
});

describe("createPort over TLS", () => {
  const openTls = async (limits: { readonly [name: string]: number }) => {
    const files = writeCertificate(first);
    const certificate = createCertificate({
      certFile: files.env.TLS_CERT_FILE,
      keyFile: files.env.TLS_KEY_FILE,
      onReload: () => undefined,
      onError: () => undefined,
    });
    await certificate.start();
    certificate.stop();
    files[Symbol.dispose]();
    return await openPort({ handle: (_, response) => void response.end(), limits, certificate });
  };

  it("keeps an idle HTTP/2 connection whose client answers pings", async () => {
    const { address } = await openTls({ pingIntervalMs: 60 });
    const session = connectHttp2(`https://127.0.0.1:${address.port}`, { ca: first.cert });
    let pings = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    session.on("ping", () => ++pings >= 5 && resolve());
    await promise;
    expect(session.closed).toBe(false);
    session.destroy();
  });

  it.each([
    ["never begins", () => undefined],
    [
      "stops after a part of its hello",
      (write: (bytes: Buffer) => void) => write(Buffer.of(22, 3)),
    ],
  ])("closes a connection whose handshake %s", async (_, begin) => {
    const { address } = await openTls({ firstBytesTimeoutMs: 100 });
    const socket = connectTcp(address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    begin((bytes) => socket.write(bytes));
    socket.resume();
    await once(socket, "close");
    expect(socket.destroyed).toBe(true);
  });

  it("closes a connection that agrees on TLS and says nothing", async () => {
    const { address } = await openTls({ firstBytesTimeoutMs: 100 });
    const peer = { port: address.port, host: "127.0.0.1", ca: first.cert };
    const socket = connectTls({ ...peer, ALPNProtocols: ["h2"] });
    await once(socket, "secureConnect");
    socket.resume();
    await once(socket, "close");
    expect(socket.destroyed).toBe(true);
  });

  it("stops at once while a connection is in its handshake", async () => {
    const { port, address } = await openTls({ firstBytesTimeoutMs: 60_000 });
    const socket = connectTcp(address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    await vi.waitFor(() => expect(port.connections()).toBe(1), WAIT);
    const closed = once(socket, "close");
    await port.stop(60_000);
    socket.resume();
    await closed;
    expect(port.connections()).toBe(0);
  });
});
