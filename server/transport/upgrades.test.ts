import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { closeAll, openPort, openRaw } from "../../test/support/sockets.ts";
import type { WebSocketRoute } from "../core/web-socket.ts";
import type { PortOptions } from "./port.ts";

const clients: WebSocket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  await closeAll();
});

/** Says back what it hears. */
const echo: WebSocketRoute = {
  path: "/echo",
  subprotocols: ["loud", "quiet"],
  maxMessageBytes: 1000,
  async serve(channel) {
    for await (const message of channel.messages) await channel.send(message);
  },
};

/** Serves each connection with the function. */
const route = (serve: WebSocketRoute["serve"]): WebSocketRoute => ({ ...echo, serve });

type Open = Partial<PortOptions> & { readonly route?: WebSocketRoute; readonly permits?: boolean };

async function open({ route: served = echo, permits = true, ...options }: Open = {}) {
  const { address, port } = await openPort({
    handle(_request, response) {
      response.statusCode = 404;
      response.end("plain");
    },
    upgrades: { routes: [served], permits: () => permits },
    ...options,
  });
  return { address, port, url: `ws://127.0.0.1:${address.port}/echo` };
}

/** A client, whose events are queued from the start. */
function connect(url: string, protocols: readonly string[] = []) {
  const client = new WebSocket(url, [...protocols]);
  clients.push(client);
  client.on("error", () => undefined);
  return client;
}

const closeOf = async (client: WebSocket) => {
  const [code, reason] = await once(client, "close");
  return { code, reason: `${reason}` };
};

/** The status that a request for a WebSocket gets instead of one. */
const statusOf = async (client: WebSocket) => {
  const [, response] = await once(client, "unexpected-response");
  return response.statusCode;
};

const handshake = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

describe("createUpgrades", () => {
  it("opens a WebSocket and brings text and bytes both ways", async () => {
    const client = connect((await open()).url);
    await once(client, "open");
    client.send("text");
    const [text, isBinary] = await once(client, "message");
    expect({ text: `${text}`, isBinary }).toEqual({ text: "text", isBinary: false });
    client.send(Buffer.from([1, 2]));
    expect(await once(client, "message")).toEqual([Buffer.from([1, 2]), true]);
  });

  it("agrees on the route's first subprotocol that the client offers, or on none", async () => {
    const { url } = await open();
    const both = connect(url, ["quiet", "loud"]);
    await once(both, "open");
    expect(both.protocol).toBe("loud");
    const other = connect(url, ["other"]);
    const [error] = await once(other, "error");
    expect(`${error}`).toContain("no subprotocol");
  });

  it("closes a connection with 1000 when its route has served it, and with 1011 when it throws", async () => {
    const served = await open({ route: route(() => Promise.resolve()) });
    expect(await closeOf(connect(served.url))).toMatchObject({ code: 1000 });
    const errors: unknown[] = [];
    const broken = await open({
      route: route(() => Promise.reject(new Error("secret"))),
      onError: (error) => errors.push(error),
    });
    const closed = await closeOf(connect(broken.url));
    expect(closed).toEqual({ code: 1011, reason: "internal error" });
    expect(errors).toHaveLength(1);
  });

  it("answers a caller that may not open one, and an unknown path, as if they had not asked", async () => {
    const { url } = await open({ permits: false });
    expect(await statusOf(connect(url))).toBe(404);
    const { url: known } = await open();
    expect(await statusOf(connect(`${known}/other`))).toBe(404);
  });

  it("answers a request that names two hosts with 400", async () => {
    const raw = await openRaw((await open()).address);
    raw.socket.write(handshake("/echo").replace("\r\n", "\r\nHost: other\r\n"));
    expect(await raw.until("}")).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("ignores an upgrade to h2c", async () => {
    const raw = await openRaw((await open()).address);
    raw.socket.write(handshake("/echo").replace("websocket", "h2c"));
    expect(await raw.until("plain")).toMatch(/^HTTP\/1\.1 404 /);
  });

  it("lets a route refuse with a status and JSON", async () => {
    const refuse = () => ({ status: 400, body: { no: "way" }, headers: { "x-why": "because" } });
    const raw = await openRaw((await open({ route: { ...echo, refuse } })).address);
    raw.socket.write(handshake("/echo"));
    const answer = await raw.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain("x-why: because\r\n");
    expect(answer).toMatch(/\r\n\r\n{"no":"way"}$/);
  });

  it("opens none behind a response that is in progress", async () => {
    const responses: { end(): void }[] = [];
    const { address } = await open({ handle: (_request, response) => responses.push(response) });
    const raw = await openRaw(address);
    raw.socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${handshake("/echo")}`);
    await expect.poll(() => responses.length).toBe(1);
    responses[0]?.end();
    await expect.poll(() => responses.length).toBe(2);
    responses[1]?.end();
    expect(await raw.until("\r\n\r\n")).not.toContain("101");
  });

  it("closes a connection whose message is too long with 1009", async () => {
    const client = connect((await open()).url);
    await once(client, "open");
    client.send("x".repeat(1001));
    expect(await closeOf(client)).toMatchObject({ code: 1009 });
  });

  it("fires the route's signal and ends its messages when the client leaves", async () => {
    const left = Promise.withResolvers<unknown>();
    const { url } = await open({
      route: route(async ({ messages, signal }) => {
        signal.addEventListener("abort", () => left.resolve(signal.reason));
        for await (const _ of messages);
      }),
    });
    const client = connect(url);
    await once(client, "open");
    client.terminate();
    expect(await left.promise).toMatchObject({ name: "TurnCancelled", reason: "disconnected" });
  });

  it("stops reading a client while its messages wait", async () => {
    const release = Promise.withResolvers<void>();
    let received = 0;
    const { url } = await open({
      route: {
        ...echo,
        maxMessageBytes: 100_000,
        async serve({ messages }) {
          await release.promise;
          for await (const _ of messages) received += 1;
        },
      },
    });
    const client = connect(url);
    await once(client, "open");
    for (let sent = 0; sent < 200; sent++) client.send("x".repeat(100_000));
    await expect.poll(() => client.bufferedAmount, { timeout: 5000 }).toBeGreaterThan(1_000_000);
    release.resolve();
    await expect.poll(() => received, { timeout: 10_000 }).toBe(200);
  });

  it("makes a route wait for a client that does not read, and cuts it off when it stalls", async () => {
    let sent = 0;
    const ended = Promise.withResolvers<unknown>();
    const stalls: unknown[] = [];
    const { url, port } = await open({
      limits: { stallTimeoutMs: 50 },
      onStall: (request) => stalls.push(request.url),
      route: route(async ({ send }) => {
        const flood = async () => {
          for (;;) {
            await send(Buffer.alloc(64 * 1024));
            sent += 1;
          }
        };
        await flood().catch(ended.resolve);
      }),
    });
    const client = connect(url);
    await once(client, "open");
    client.pause();
    expect(await ended.promise).toMatchObject({ reason: "disconnected" });
    expect(sent).toBeLessThan(1000);
    expect(stalls).toEqual(["/echo"]);
    await expect.poll(() => port.connections()).toBe(0);
  });

  it("disconnects a client that does not answer pings", async () => {
    const { url, port } = await open({ limits: { pingIntervalMs: 50 } });
    const client = new WebSocket(url, { autoPong: false });
    clients.push(client);
    await once(client, "open");
    expect(await closeOf(client)).toMatchObject({ code: 1006 });
    await expect.poll(() => port.connections()).toBe(0);
  });

  it("closes a connection over which no message goes, though it answers pings", async () => {
    const client = connect(
      (await open({ limits: { pingIntervalMs: 20, idleTimeoutMs: 100 } })).url,
    );
    expect(await closeOf(client)).toEqual({ code: 1001, reason: "idle for too long" });
  });

  it("closes what is open when the port stops, and opens no more", async () => {
    const { url, port } = await open();
    const client = connect(url);
    await once(client, "open");
    const closing = closeOf(client);
    await port.stop(1000);
    expect(await closing).toEqual({ code: 1001, reason: "the gateway is stopping" });
  });

  it("destroys a client that does not let itself be closed after the grace", async () => {
    const { address, port } = await open();
    const raw = await openRaw(address);
    raw.socket.write(handshake("/echo"));
    await raw.until("101");
    raw.socket.pause();
    await port.stop(50);
    expect(port.connections()).toBe(0);
  });
});
