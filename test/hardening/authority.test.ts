import type { ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import { answerOf, closeAll, openHttp2, openPort, openRaw } from "../support/sockets.ts";

afterEach(closeAll);

const path = "/streaming.StreamingService/InterruptSession";
const adapter = connectNodeAdapter({
  routes(router) {
    router.service(StreamingService, { interruptSession: () => ({ success: true }) });
  },
}) as Handle;

const post = (target: string, version: string, host: string | undefined) =>
  Buffer.from(
    `POST ${target} HTTP/${version}\r\n${host === undefined ? "" : `Host: ${host}\r\n`}` +
      "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "latin1",
  );

const refusal = (message: string) => `{"error":{"code":"invalid_argument","message":"${message}"}}`;

describe("an RPC's host", () => {
  it.each(["[", "a:99999", "a b", "", "a%zz", "user@a", "[::1"])(
    "is refused over HTTP/1.1 when it is %j",
    async (host) => {
      const { address } = await openPort({ handle: adapter });
      const client = await openRaw(address);
      client.socket.write(post(path, "1.1", host));
      const answer = await client.closed();
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain(refusal("the host is malformed"));
    },
  );

  it.each(["1.0", "1.1"])("is asked for over HTTP/%s", async (version) => {
    const { address } = await openPort({ handle: adapter });
    const client = await openRaw(address);
    client.socket.write(post(path, version, undefined));
    expect(await client.closed()).toContain(refusal("the request names no host"));
  });

  it("is enough for HTTP/1.0", async () => {
    const { address } = await openPort({ handle: adapter });
    const client = await openRaw(address);
    client.socket.write(post(path, "1.0", "a"));
    expect(await client.closed()).toContain('{"success":true}');
  });

  it.each(["[", "a:99999", "%", "a%zz"])("is refused over HTTP/2 when it is %j", async (host) => {
    const { address } = await openPort({ handle: adapter });
    const session = await openHttp2(address);
    const call = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const answer = await answerOf(session.request({ ...call, ":authority": host }).end());
    expect(answer).toEqual({ status: 400, body: refusal("the host is malformed") });
    const next = await answerOf(session.request({ ...call, ":authority": "a" }).end());
    expect(next.status).toBe(200);
  });
});

describe("a request's target", () => {
  it.each(["//", "http://[", "http://a:99999/", "//["])(
    "is refused over HTTP/1.1 when it is %j",
    async (target) => {
      const { address } = await openPort({ handle: adapter });
      const client = await openRaw(address);
      client.socket.write(post(target, "1.1", "a"));
      expect(await client.closed()).toContain(refusal("the request target is malformed"));
    },
  );

  it("is refused over HTTP/2 when it is no path", async () => {
    const { address } = await openPort({ handle: adapter });
    const session = await openHttp2(address);
    const answer = await answerOf(session.request({ ":path": "//" }));
    expect(answer).toEqual({ status: 400, body: refusal("the request target is malformed") });
  });
});

describe("a handler that throws", () => {
  const failing: readonly [string, Handle][] = [
    ["at once", () => thrown()],
    ["later", async () => await Promise.reject(new Error("a secret"))],
  ];
  const thrown = () => {
    throw new Error("a secret");
  };

  it.each(failing)("is answered for, and reported (%s)", async (_when, handle) => {
    const faults: unknown[] = [];
    const { address } = await openPort({ handle, onError: (error) => faults.push(error) });
    const response = await fetch(`http://127.0.0.1:${address.port}/`);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({
      error: { code: "internal", message: "the request could not be answered" },
    });
    const session = await openHttp2(address);
    expect((await answerOf(session.request({}))).status).toBe(500);
    expect(faults).toEqual([new Error("a secret"), new Error("a secret")]);
  });

  it("is cut off if it had begun to answer", async () => {
    const { address } = await openPort({
      handle: async (_request, response) => {
        (response as ServerResponse).write("begun");
        await new Promise((resolve) => setTimeout(resolve, 50));
        thrown();
      },
    });
    const response = await fetch(`http://127.0.0.1:${address.port}/`);
    await expect(response.text()).rejects.toThrow();
    const session = await openHttp2(address);
    expect((await answerOf(session.request({}))).status).toBe(200);
  });

  it("does no harm by writing after the end", async () => {
    const { address } = await openPort({
      handle: (_request, response) => {
        response.end("all");
        (response as ServerResponse).write("more");
      },
    });
    expect(await (await fetch(`http://127.0.0.1:${address.port}/`)).text()).toBe("all");
    expect(await (await fetch(`http://127.0.0.1:${address.port}/`)).text()).toBe("all");
  });
});
