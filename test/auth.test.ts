import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { scopes } from "../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../server/auth/token-file.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { FLOOD, PAUSED } from "./support/replies.ts";
import { closeAll, openRaw } from "./support/sockets.ts";

let folder: string;
let gateway: Gateway;
let token: string;

/** Replaces the tokens that the gateway knows. */
const save = async (device?: string) => {
  const made = createToken({ device: device ?? "nobody", scopes });
  const tokens = device === undefined ? [] : [made.stored];
  await writeTokenFile(join(folder, "tokens.json"), { tokens, revokedJwts: [] });
  return made.token;
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-auth-"));
  token = await save("d");
  gateway = await startGateway({ env: { DATA_DIR: folder, AUTH_MODE: "token" } });
});
afterEach(async () => {
  await closeAll();
  await gateway.stop();
  await rm(folder, { recursive: true });
});

const headers = () => ({ authorization: `Bearer ${token}` });
/** A revocation ends running streams within this time. */
const within = { timeout: 5000 };

describe("a revocation", () => {
  it.each([
    ["gRPC", createGrpcTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ])("ends a running stream over %s within 5 s, and no other device's", async (_, transportOf) => {
    const transport = transportOf({ baseUrl: gateway.url, httpVersion: "2" } as never);
    const client = createClient(StreamingService, transport);
    const stream = client.streamAudio({ prompt: PAUSED.prompt }, { headers: headers() });
    const messages: (string | undefined)[] = [];
    const ended = (async () => {
      for await (const { content } of stream) messages.push(content.case);
    })().catch((error: unknown) => ConnectError.from(error));
    await expect.poll(() => messages.length, within).toBeGreaterThan(0);
    const revokedMs = performance.now();
    await save();
    const error = (await ended) as ConnectError;
    expect(performance.now() - revokedMs).toBeLessThan(5000);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "the token was revoked",
    });
    expect(error.metadata.get("parley-reason")).toBe("revoked");
    expect(messages.at(-1)).toBe("errorMessage");
    const again = client.interruptSession({}, { headers: headers() });
    await expect(again).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it("ends /v1/speak with a failure, also for the holder of a ticket", async () => {
    const post = (path: string) =>
      fetch(`${gateway.httpUrl}${path}`, {
        method: "POST",
        headers: { ...headers(), "content-type": "application/json" },
        body: JSON.stringify({ prompt: PAUSED.prompt, format: "sse" }),
      });
    const { url } = (await (await post("/v1/speak/tickets")).json()) as { url: string };
    const responses = [await post("/v1/speak"), await fetch(`${gateway.httpUrl}${url}`)];
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    await save();
    for (const response of responses) {
      expect(await response.text()).toMatch(/event: failure\ndata: \{"code":"unauthenticated"/);
    }
  });

  it("spoils the tickets that the token got", async () => {
    const tickets = await fetch(`${gateway.httpUrl}/v1/speak/tickets`, {
      method: "POST",
      headers: { ...headers(), "content-type": "application/json" },
      body: JSON.stringify({ prompt: "Hi." }),
    });
    const { url } = (await tickets.json()) as { url: string };
    await save();
    const status = async () =>
      (await fetch(`${gateway.httpUrl}/status`, { headers: headers() })).status;
    await expect.poll(status, within).toBe(401);
    expect((await fetch(`${gateway.httpUrl}${url}`)).status).toBe(401);
  });

  it("cuts off a client that reads nothing", async () => {
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    const body = JSON.stringify({ prompt: FLOOD.prompt, format: "pcm" });
    client.socket.write(
      `POST /v1/speak HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await client.until("HTTP/1.1 200");
    client.socket.pause();
    await save();
    await expect.poll(() => gateway.status().activeSessions, within).toBe(0);
    client.socket.resume();
    await client.closed();
  });
});

describe("a request without a token", () => {
  it("is refused before its body came", async () => {
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    client.socket.write(
      "POST /streaming.StreamingService/InterruptSession HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
    );
    expect(await client.until("unauthenticated")).toMatch(/^HTTP\/1.1 401 /);
  });

  it("may be a preflight, which allows a page to send one", async () => {
    const preflight = await fetch(`${gateway.httpUrl}/v1/speak`, {
      method: "OPTIONS",
      headers: { origin: "http://localhost:5173", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    const allowed = preflight.headers.get("access-control-allow-headers")?.toLowerCase();
    expect(allowed?.split(", ")).toContain("authorization");
  });

  it("hears nothing of the token that it sent", async () => {
    const response = await fetch(`${gateway.httpUrl}/status`, {
      headers: { authorization: "Bearer parley_secretsecret" },
    });
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain("secretsecret");
  });
});

describe("a device's token", () => {
  it("interrupts its own turns alone", async () => {
    const transport = createGrpcTransport({ baseUrl: gateway.url });
    const client = createClient(StreamingService, transport);
    const answer = await client.interruptSession({ hardwareId: "d" }, { headers: headers() });
    expect(answer.success).toBe(true);
    const other = client.interruptSession({ hardwareId: "e" }, { headers: headers() });
    await expect(other).rejects.toMatchObject({
      code: Code.PermissionDenied,
      rawMessage: "hardware_id is not the device of this token",
    });
  });
});

describe("a gateway without tokens", () => {
  it.each([undefined, "open"])(
    "keeps its metrics and its contract for this machine (AUTH_MODE %s)",
    async (mode) => {
      await using open = await startGateway({
        env: { TRUSTED_PROXIES: "127.0.0.1", ...(mode && { AUTH_MODE: mode }) },
      });
      const statusOf = async (path: string, address?: string) => {
        const headers: Record<string, string> = address ? { "x-forwarded-for": address } : {};
        return (await fetch(`${open.httpUrl}${path}`, { headers })).status;
      };
      expect(await statusOf("/metrics")).toBe(200);
      expect(await statusOf("/metrics", "127.0.0.1")).toBe(200);
      expect(await statusOf("/metrics", "192.0.2.7")).toBe(403);
      expect(await statusOf("/status", "192.0.2.7")).toBe(200);
      const reflection = createClient(
        ServerReflection,
        createGrpcTransport({ baseUrl: open.url }),
      ).serverReflectionInfo(
        (async function* () {
          yield { messageRequest: { case: "listServices" as const, value: "" } };
        })(),
        { headers: { "x-forwarded-for": "192.0.2.7" } },
      );
      await expect(Array.fromAsync(reflection)).rejects.toMatchObject({
        code: Code.PermissionDenied,
      });
    },
  );
});
