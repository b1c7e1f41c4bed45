import { once } from "node:events";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { answerOf, closeAll, openHttp2, openRaw } from "../support/sockets.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({
    env: { ALLOWED_HOSTS: "voice.example,only.example:8080", CORS_ORIGINS: "https://app.example" },
  });
});
afterEach(closeAll);
afterAll(() => gateway.stop());

const check = `/grpc.health.v1.Health/Check?encoding=json&connect=v1&message=${encodeURIComponent("{}")}`;
const routes = [
  "/",
  "/health",
  "/status",
  "/nothing",
  check,
  "/streaming.StreamingService/StreamAudio",
];
const address = () => ({ host: "127.0.0.1", port: gateway.httpPort });

/** Asks by HTTP/1.1 with these header lines alone, and answers the status. */
async function ask(target: string, lines: readonly string[], method = "GET"): Promise<number> {
  return Number((await askAll(target, lines, method)).slice(9, 12));
}

async function askAll(target: string, lines: readonly string[], method = "GET"): Promise<string> {
  const client = await openRaw(address());
  const head = [`${method} ${target} HTTP/1.1`, ...lines, "Connection: close"];
  client.socket.write(`${head.join("\r\n")}\r\n\r\n`);
  return await client.closed();
}

describe("a request's host on loopback", () => {
  it.each([
    "localhost",
    "LOCALHOST:1",
    "parley.localhost:8080",
    "127.0.0.1:8080",
    "127.9.9.9",
    "[::1]:8080",
    "192.168.1.7",
    "voice.example",
    "Voice.Example.:99",
    "only.example:8080",
  ])("is served as %s", async (host) => {
    expect(await ask("/health", [`Host: ${host}`])).toBe(200);
  });

  it.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "sub.voice.example",
    "evillocalhost",
    "only.example:9",
  ])("is refused as %s, on every route", async (host) => {
    for (const route of routes) expect(await ask(route, [`Host: ${host}`])).toBe(403);
    expect(await ask(routes[5] ?? "", [`Host: ${host}`], "POST")).toBe(403);
    const session = await openHttp2(address());
    for (const route of routes) {
      const answer = await answerOf(session.request({ ":path": route, ":authority": host }));
      expect(answer.status).toBe(403);
    }
  });

  it("is looked at in the target too", async () => {
    expect(await ask("http://evil.example/status", ["Host: localhost"])).toBe(403);
  });

  it("is refused when there are two", async () => {
    const twice = await askAll("/health", ["Host: localhost", "Host: evil.example"]);
    expect(twice).toMatch(/^HTTP\/1\.1 400 /);
    expect(twice).toContain("the request names more than one host");
    const session = await openHttp2(address());
    const both = { ":authority": "localhost", host: "evil.example", ":path": "/health" };
    expect((await answerOf(session.request(both))).status).toBe(400);
  });

  it("is refused to each protocol in its own words", async () => {
    const options = {
      baseUrl: "http://evil.example",
      httpVersion: "2" as const,
      nodeOptions: { createConnection: () => connect(address()) },
    };
    for (const create of [createGrpcTransport, createGrpcWebTransport, createConnectTransport]) {
      const client = createClient(Health, create(options));
      await expect(client.check({})).rejects.toThrow(
        "[permission_denied] the host evil.example is not served here; ALLOWED_HOSTS can name it",
      );
    }
  });
});

describe("a page of another origin", () => {
  const host = "Host: localhost:8080";
  const foreign: readonly (readonly [string, string[]])[] = [
    [
      "an <img>",
      ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
    ],
    ["a <script> of a sibling", ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"]],
    [
      "an <iframe>",
      ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
    ],
    [
      "a fetch",
      ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
    ],
    ["a fetch of an old browser", ["Origin: https://evil.example"]],
    ["a sandboxed page", ["Origin: null"]],
    ["a file", ["Origin: file://"]],
    ["its own name with another port", ["Origin: http://voice.example:1"]],
    ["a name like an allowed one", ["Origin: https://app.example.evil.example"]],
    ["an allowed one by another scheme", ["Origin: http://app.example"]],
    [
      "a WebSocket",
      ["Origin: https://evil.example", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    ],
  ];

  it.each(foreign)("gets nothing by %s", async (_how, lines) => {
    for (const route of routes) expect(await ask(route, [host, ...lines])).toBe(403);
    const answer = await askAll(check, [host, ...lines]);
    expect(answer).not.toContain("SERVING");
    expect(answer.toLowerCase()).not.toContain("access-control-allow");
  });

  it.each([
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=a",
  ])("gets nothing by a form or a POST of %s, which is not begun", async (type) => {
    const lines = [
      host,
      "Origin: https://evil.example",
      `Content-Type: ${type}`,
      "Content-Length: 0",
    ];
    expect(await ask("/v1/speak", lines, "POST")).toBe(403);
    expect(await ask("/streaming.StreamingService/StreamAudio", lines, "POST")).toBe(403);
    expect(gateway.spoken).toEqual([]);
  });

  it("may link to what is there to be looked at, and to nothing else", async () => {
    const visit = [
      host,
      "Sec-Fetch-Site: cross-site",
      "Sec-Fetch-Mode: navigate",
      "Sec-Fetch-Dest: document",
    ];
    for (const route of ["/", "/?a=b", "/health", "/status"])
      expect(await ask(route, visit)).toBe(200);
    expect(await ask(check, visit)).toBe(403);
    expect(await ask("/v1/speak?prompt=x", visit)).toBe(403);
  });

  it("gets what it asks for where CORS_ORIGINS names it", async () => {
    const lines = [host, "Origin: https://app.example", "Sec-Fetch-Site: cross-site"];
    const answer = await askAll(check, lines);
    expect(answer).toContain("SERVING");
    expect(answer.toLowerCase()).toContain("access-control-allow-origin: https://app.example");
  });
});

describe("who is no foreign page", () => {
  it.each([
    ["a program", []],
    ["somebody who typed the address", ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"]],
    ["the page itself", ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"]],
    ["the page itself, by POST", ["Origin: http://voice.example", "Sec-Fetch-Site: same-origin"]],
    [
      "the page behind a proxy with TLS",
      ["Origin: https://voice.example", "Sec-Fetch-Site: same-origin"],
    ],
    ["a page on this machine", ["Origin: http://localhost:5173", "Sec-Fetch-Site: cross-site"]],
  ])("is served: %s", async (_who, lines) => {
    expect(await ask(check, ["Host: voice.example", ...lines])).toBe(200);
  });

  it("is served over HTTP/2 as well", async () => {
    const session = await openHttp2(address());
    const own = {
      ":path": "/health",
      ":authority": "voice.example",
      origin: "https://voice.example",
    };
    expect((await answerOf(session.request(own))).status).toBe(200);
    const other = await answerOf(session.request({ ...own, origin: "https://evil.example" }));
    expect(other.status).toBe(403);
  });
});

describe("a gateway that any origin may call", () => {
  it("serves pages with and without CORS", async () => {
    const open = await startGateway({ env: { CORS_ORIGINS: "*" } });
    try {
      const page = await openRaw({ host: "127.0.0.1", port: open.httpPort });
      page.socket.write(
        "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: https://any.example\r\nConnection: close\r\n\r\n",
      );
      await once(page.socket, "end");
      expect(page.received()).toContain("access-control-allow-origin: https://any.example");
    } finally {
      await open.stop();
    }
  });
});
