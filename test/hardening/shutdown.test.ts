import { execFile } from "node:child_process";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Handle, PortResponse } from "../../server/transport/in-flight-requests.ts";
import { answerOf, closeAll, openHttp2, openPort, openRaw, preface } from "../support/sockets.ts";

afterEach(closeAll);

const hourMs = 3_600_000;

/** A handler that leaves its requests open until the test answers them. */
function openHolder() {
  const held: ServerResponse[] = [];
  let seen: () => void = () => undefined;
  const handle: Handle = (_request, response: PortResponse) => {
    held.push(response as ServerResponse);
    seen();
  };
  const next = async () => {
    if (held.length === 0) await new Promise<void>((resolve) => (seen = resolve));
    return held.shift() as ServerResponse;
  };
  return { handle, next };
}

describe("goAway", () => {
  it("answers on, over old and new connections, and ends each after its answer", async () => {
    const { port, address } = await openPort({ handle: (_, response) => void response.end("ok") });
    const idle = await openHttp2(address);
    await answerOf(idle.request({}));
    const goaway = once(idle, "goaway");
    const old = await openRaw(address);
    const silent = await openRaw(address);
    port.goAway();
    expect((await goaway)[0]).toBe(0);
    for (const client of [old, silent, await openRaw(address)]) {
      client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      expect((await client.closed()).toLowerCase()).toMatch(/200 ok(.|\s)*connection: close/);
    }
    const late = await openHttp2(address);
    const lateGoaway = once(late, "goaway");
    expect(await answerOf(late.request({}))).toEqual({ status: 200, body: "ok" });
    expect((await lateGoaway)[0]).toBe(0);
    await port.stop(hourMs);
  });

  it("lets what is in progress finish", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const session = await openHttp2(address);
    const answer = answerOf(session.request({}));
    const response = await next();
    port.goAway();
    await vi.waitUntil(() => session.closed, 10_000);
    response.end("finished");
    expect(await answer).toEqual({ status: 200, body: "finished" });
    await port.stop(hourMs);
  });
});

describe("stop", () => {
  it("closes silent and idle connections at once", async () => {
    const { port, address } = await openPort({
      handle: (_, response) => void response.end("ok"),
      limits: { firstBytesTimeoutMs: hourMs },
    });
    const silent = await openRaw(address);
    const hesitating = await openRaw(address);
    hesitating.socket.write(preface.slice(0, 10));
    const idle = await openRaw(address);
    idle.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await idle.until("ok");
    const session = await openHttp2(address);
    await answerOf(session.request({}));
    await port.stop(hourMs);
    await Promise.all([silent.closed(), hesitating.closed(), idle.closed()]);
    expect(port.connections()).toBe(0);
  });

  it("tells HTTP/2 clients to go away without blame", async () => {
    const { port, address } = await openPort({ handle: (_, response) => void response.end() });
    const session = await openHttp2(address);
    await answerOf(session.request({}));
    const goaway = once(session, "goaway");
    await port.stop(hourMs);
    expect((await goaway)[0]).toBe(0);
  });

  it("refuses new connections while it waits for the old ones", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const busy = await openRaw(address);
    busy.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await next();
    const stopping = port.stop(hourMs);
    await expect(openRaw(address)).rejects.toThrow("ECONNREFUSED");
    response.end();
    await stopping;
  });

  it("lets an HTTP/1.1 request finish, and closes its connection after it", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const client = await openRaw(address);
    client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await next();
    const stopping = port.stop(hourMs);
    response.end("finished");
    await stopping;
    expect((await client.closed()).toLowerCase()).toMatch(/connection: close\r\n(.|\s)*finished$/);
  });

  it("lets an HTTP/1.1 response finish that had begun, and closes its connection", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const client = await openRaw(address);
    client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await next();
    response.write("begun");
    await client.until("begun");
    const stopping = port.stop(hourMs);
    response.end("finished");
    await stopping;
    expect(await client.closed()).toContain("finished");
  });

  it("lets an HTTP/2 request finish, and takes no other on its connection", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const session = await openHttp2(address);
    const answer = answerOf(session.request({}));
    const response = await next();
    const stopping = port.stop(hourMs);
    await vi.waitUntil(() => session.closed, 10_000);
    expect((await answerOf(session.request({}))).status).toBeUndefined();
    response.end("finished");
    expect(await answer).toEqual({ status: 200, body: "finished" });
    await stopping;
  });

  it("cuts off what is left at the end of the grace", async () => {
    const { handle, next } = openHolder();
    const { port, address } = await openPort({ handle });
    const client = await openRaw(address);
    client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const session = await openHttp2(address);
    const answer = answerOf(session.request({}));
    const responses = [await next(), await next()];
    const closes = responses.map((response) => once(response, "close"));
    await port.stop(100);
    expect(port.connections()).toBe(0);
    expect(await client.closed()).toBe("");
    expect((await answer).status).toBeUndefined();
    await Promise.all(closes);
  });

  it("leaves nothing behind that keeps the process alive", async () => {
    const script = `
      const { createPort } = await import(${JSON.stringify(moduleUrl("../../server/transport/port.ts"))});
      const port = createPort({ host: "127.0.0.1", port: 0, handle: (_, response) => response.end() });
      const address = await port.start();
      await (await fetch("http://127.0.0.1:" + address.port)).text();
      await port.stop(3600000);
    `;
    const run = promisify(execFile);
    // Rejects if the process has to be killed.
    const ended = run(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
    await expect(ended).resolves.toMatchObject({ stdout: "" });
  });
});

const moduleUrl = (path: string) => fileURLToPath(new URL(path, import.meta.url));
