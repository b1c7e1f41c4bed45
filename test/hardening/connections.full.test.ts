import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:http2";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import type { PortLimits } from "../../server/transport/limits.ts";
import {
  answerOf,
  closeAll,
  frame,
  frameTypes,
  headerBlock,
  openHttp2,
  openPort,
  openRaw,
  preface,
  type RawClient,
} from "../support/sockets.ts";

afterEach(closeAll);

const answer: Handle = (_request, response) => void response.end("ok");
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(limits: Partial<PortLimits>, handle = answer) {
  return await openPort({ handle, limits });
}

function manyHeaders(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-${at}`, "y"]));
}

/** Sends text a byte at a time until the connection ends. */
async function drip({ socket }: RawClient, text: string, everyMs: number): Promise<void> {
  for (const byte of text) {
    if (socket.destroyed || socket.readableEnded) return;
    socket.write(byte);
    await wait(everyMs);
  }
}

const inTime = { firstBytesTimeoutMs: 100, headersTimeoutMs: 200, requestTimeoutMs: 400 };

describe("a connection that tells too little", () => {
  it("is closed when it says nothing", async () => {
    const { address } = await open(inTime);
    expect(await (await openRaw(address)).closed()).toBe("");
  });

  it("is closed when it does not finish the preface, however it spends the time", async () => {
    const { address, port } = await open(inTime);
    const client = await openRaw(address);
    await drip(client, preface.slice(0, 20), 20);
    expect(await client.closed()).toBe("");
    expect(port.connections()).toBe(0);
  });

  it("is closed when it ends before it has said anything", async () => {
    const { address } = await open({ firstBytesTimeoutMs: 600_000 });
    const client = await openRaw(address);
    client.socket.end();
    expect(await client.closed()).toBe("");
  });

  it("is closed when its HTTP/1.1 header does not come to an end", async () => {
    const { address } = await open(inTime);
    const client = await openRaw(address);
    await drip(client, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100)}`, 20);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("is closed when its HTTP/1.1 body does not come", async () => {
    const { address } = await open(inTime, (request) => void request.resume());
    const client = await openRaw(address);
    client.socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("loses an HTTP/2 stream whose body does not come, and nothing else", async () => {
    const { address } = await open(inTime, (request, response) => {
      if (request.method === "POST") request.resume();
      else void response.end("ok");
    });
    const session = await openHttp2(address);
    const stream = session.request({ ":method": "POST" }, { endStream: false });
    stream.write("abc");
    expect((await answerOf(stream)).status).toBeUndefined();
    expect(stream.rstCode).toBe(8);
    expect((await answerOf(session.request({}))).body).toBe("ok");
  });

  it("is closed when it has been idle for the keep-alive time", async () => {
    const { address } = await open({ keepAliveTimeoutMs: 50 });
    const client = await openRaw(address);
    client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.closed()).toContain("ok");
  });
});

describe("a long response", () => {
  const talkOn: Handle = async (_request, response) => {
    for (let word = 0; word < 8; word++) {
      (response as ServerResponse).write("word ");
      await wait(100);
    }
    response.end("end");
  };

  it("is not cut by the request's time-outs", async () => {
    const { address } = await open(inTime, talkOn);
    const client = await openRaw(address);
    client.socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    const session = await openHttp2(address);
    const other = answerOf(session.request({ ":method": "POST" }).end("abc"));
    expect(await client.until("end")).toContain("word");
    expect((await other).body).toMatch(/^(word ){8}end$/);
  });
});

describe("maxConnections", () => {
  it("bounds the connections, and takes new ones as old ones leave", async () => {
    const { address, port } = await open({ maxConnections: 2 });
    const first = await openRaw(address);
    const second = await openRaw(address);
    const third = await openRaw(address);
    expect(await third.closed()).toBe("");
    second.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await second.until("ok");
    first.socket.destroy();
    await vi.waitUntil(() => port.connections() === 1, 10_000);
    const fourth = await openRaw(address);
    fourth.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await fourth.until("ok");
  });
});

describe("an HTTP/2 client", () => {
  const hello = Buffer.concat([Buffer.from(preface), frame({ type: frameTypes.settings })]);

  const call = (stream: number) =>
    frame({
      type: frameTypes.headers,
      flags: 5,
      stream,
      payload: headerBlock({
        ":method": "GET",
        ":scheme": "http",
        ":path": "/",
        ":authority": "a",
      }),
    });

  it("is told the port's limits", async () => {
    const { address } = await open({
      maxStreams: 7,
      maxHeaderBytes: 9000,
      streamWindowBytes: 70_000,
    });
    const session = await openHttp2(address);
    await once(session, "remoteSettings");
    expect(session.remoteSettings).toMatchObject({
      maxConcurrentStreams: 7,
      maxHeaderListSize: 9000,
      initialWindowSize: 70_000,
    });
  });

  it("that answers no ping is dropped", async () => {
    const { address } = await open({ pingIntervalMs: 100 });
    const client = await openRaw(address);
    client.socket.write(hello);
    const received = await client.closed();
    const ping = frame({ type: frameTypes.ping, payload: new Uint8Array(8) });
    expect(received).toContain(ping.subarray(0, 9).toString("latin1"));
  });

  it("that answers pings, or sends anything else, is kept", async () => {
    const { address } = await open({ pingIntervalMs: 100 });
    const session = await openHttp2(address);
    const talkative = await openRaw(address);
    talkative.socket.write(hello);
    for (let time = 0; time < 20; time++) {
      await wait(40);
      talkative.socket.write(call(2 * time + 1));
    }
    expect(talkative.socket.readyState).toBe("open");
    expect((await answerOf(session.request({}))).body).toBe("ok");
  });

  it("that breaks the protocol is sent away", async () => {
    const { address, port } = await open({ pingIntervalMs: 50 });
    const client = await openRaw(address);
    client.socket.pause();
    client.socket.write(hello);
    client.socket.write(frame({ type: frameTypes.data, payload: Buffer.from("for no stream") }));
    await expect.poll(port.connections).toBe(0);
  });

  it("may ping as often as it likes", async () => {
    const { address } = await open({});
    const session = await openHttp2(address);
    const onGoaway = vi.fn();
    session.on("goaway", onGoaway);
    for (let time = 0; time < 300; time++) {
      await new Promise((resolve) => session.ping(resolve));
    }
    expect((await answerOf(session.request({}))).body).toBe("ok");
    expect(onGoaway).not.toHaveBeenCalled();
  });

  it("that opens streams only to reset them is sent away", async () => {
    const handle = vi.fn<Handle>();
    const { address } = await open({}, handle);
    const client = await openRaw(address);
    client.socket.write(hello);
    for (let stream = 1; stream < 20_000 && !client.socket.destroyed; stream += 2) {
      const payload = Buffer.from([0, 0, 0, 8]);
      client.socket.write(call(stream));
      client.socket.write(frame({ type: frameTypes.reset, stream, payload }));
      if (stream % 101 === 0) await new Promise(setImmediate);
    }
    await client.closed();
    expect(handle.mock.calls.length).toBeLessThan(2000);
    const session = await openHttp2(address);
    handle.mockImplementation(answer);
    expect((await answerOf(session.request({}))).body).toBe("ok");
  });

  it.each([
    ["settings", frame({ type: frameTypes.settings })],
    ["pings", frame({ type: frameTypes.ping, payload: new Uint8Array(8) })],
  ])("that floods with %s and reads no answers is sent away", async (_name, flood) => {
    const { address, port } = await open({});
    const client = await openRaw(address);
    client.socket.pause();
    client.socket.write(hello);
    const block = Buffer.concat(Array.from({ length: 5000 }, () => flood));
    const send = () => {
      while (!client.socket.destroyed && client.socket.write(block)) void 0;
    };
    client.socket.on("drain", send);
    send();
    await vi.waitUntil(() => port.connections() === 0, { timeout: 30_000 });
    client.socket.off("drain", send);
    const session = await openHttp2(address);
    expect((await answerOf(session.request({}))).body).toBe("ok");
  });

  it("may leave 150 large responses unread and still ask", async () => {
    const { address } = await open({}, ({ url }, response) => {
      if (url === "/large") (response as ServerResponse).write(Buffer.alloc(200_000));
      else void response.end("ok");
    });
    const session = await openHttp2(address);
    const large = Array.from({ length: 150 }, () => session.request({ ":path": "/large" }).pause());
    const headers = large.map((stream) => once(stream, "response"));
    await Promise.all(headers);
    expect((await answerOf(session.request({}))).body).toBe("ok");
    for (const stream of large) stream.on("error", () => undefined);
  });

  it("that sends too large a header is refused", async () => {
    const { address } = await open({ maxHeaderBytes: 8000 });
    const session = await openHttp2(address);
    const refused = await answerOf(session.request({ "x-large": "x".repeat(9000) }));
    expect(refused.status).toBe(431);
    expect(refused.body).toContain("the header is larger than 8000 bytes");
    expect((await answerOf(session.request({}))).body).toBe("ok");
  });

  it.each([{ "x-huge": "x".repeat(70_000) }, manyHeaders(300)])(
    "that sends more header than anybody does harms itself alone",
    async (headers) => {
      const { address } = await open({});
      const maxSendHeaderBlockLength = 10_000_000;
      const session = connect(`http://127.0.0.1:${address.port}`, { maxSendHeaderBlockLength });
      session.on("error", () => undefined);
      expect((await answerOf(session.request(headers))).status).not.toBe(200);
      session.destroy();
      const other = await openHttp2(address);
      expect((await answerOf(other.request({}))).body).toBe("ok");
    },
  );
});

describe("an HTTP/1.1 client", () => {
  it("that sends too large a header is refused", async () => {
    const { address } = await open({ maxHeaderBytes: 8000 });
    const client = await openRaw(address);
    client.socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(9000)}\r\n\r\n`);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe("a client that resets its connection", () => {
  const moments = [
    "",
    "P",
    preface,
    `${preface}\0`,
    "GET / HT",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  ];

  it.each(moments)("does no harm after %j", async (bytes) => {
    const { address, port } = await open({});
    const client = await openRaw(address);
    client.socket.write(Buffer.from(bytes, "latin1"));
    await wait(20);
    client.socket.resetAndDestroy();
    await vi.waitUntil(() => port.connections() === 0, 10_000);
    expect((await fetch(`http://127.0.0.1:${address.port}/`)).status).toBe(200);
  });
});
