import { createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import { answerOf, closeAll, openHttp2, openPort, openRaw } from "../support/sockets.ts";

afterEach(closeAll);

const tell: Handle = (request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(`${request.httpVersion} ${request.method} ${request.url}`);
};

describe("createPort", () => {
  it("speaks HTTP/1.1", async () => {
    const { address } = await openPort({ handle: tell });
    const response = await fetch(`http://127.0.0.1:${address.port}/here`);
    expect(await response.text()).toBe("1.1 GET /here");
  });

  it("speaks HTTP/2 with prior knowledge", async () => {
    const { address } = await openPort({ handle: tell });
    const session = await openHttp2(address);
    expect((await answerOf(session.request({ ":path": "/here" }))).body).toBe("2.0 GET /here");
  });

  it.each([
    "POST /here HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    "GET /here HTTP/1.1\r\nHost: a\r\n\r\n",
  ])("understands a request that comes byte by byte: %j", async (text) => {
    const { address } = await openPort({ handle: tell });
    const client = await openRaw(address);
    for (const byte of text) {
      client.socket.write(byte);
      await new Promise(setImmediate);
    }
    expect(await client.until("/here")).toContain("200 OK");
  });

  it("answers an upgrade to h2c in HTTP/1.1", async () => {
    const { address } = await openPort({ handle: tell });
    const client = await openRaw(address);
    client.socket.write(
      "GET /here HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    expect(await client.until("1.1 GET /here")).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("shares one handler among several ports", async () => {
    const seen: string[] = [];
    const handle: Handle = (request, response) => {
      seen.push(request.url ?? "");
      response.end();
    };
    const ports = [await openPort({ handle }), await openPort({ handle })];
    for (const { address } of ports)
      await fetch(`http://127.0.0.1:${address.port}/${address.port}`);
    expect(seen).toEqual(ports.map(({ address }) => `/${address.port}`));
  });

  it.each(["\x16\x03\x01\0\xff garbage", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\r\n\r\n\r\n\0\0\0"])(
    "refuses %j and goes on",
    async (bytes) => {
      const { address } = await openPort({ handle: tell });
      const client = await openRaw(address);
      client.socket.write(Buffer.from(bytes, "latin1"));
      expect(await client.closed()).toMatch(/^HTTP\/1\.1 400 /);
      expect((await fetch(`http://127.0.0.1:${address.port}/`)).status).toBe(200);
    },
  );

  it("serves gRPC, gRPC-Web and Connect side by side", async () => {
    const handle = connectNodeAdapter({
      routes(router) {
        router.service(StreamingService, {
          interruptSession: (request) => ({ success: true, message: request.hardwareId }),
        });
      },
    });
    const { address } = await openPort({ handle: handle as Handle });
    const baseUrl = `http://127.0.0.1:${address.port}`;
    const transports = [
      createGrpcTransport({ baseUrl }),
      createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
      createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
      createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl, httpVersion: "2" }),
    ];
    const answers = transports.map((transport) =>
      createClient(StreamingService, transport).interruptSession({ hardwareId: "d" }),
    );
    for (const answer of await Promise.all(answers)) expect(answer.message).toBe("d");
  });
});
