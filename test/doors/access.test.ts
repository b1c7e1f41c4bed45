import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { scopes } from "../../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../../server/auth/token-file.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { connectRealtime } from "./realtime-client.ts";

const make = (allowed: readonly (typeof scopes)[number][]) =>
  createToken({ device: "d", scopes: allowed });
const good = make(["speak"]);
const leaked = make(["speak"]);
const other = make(scopes.filter((scope) => scope !== "speak"));
const languageModel = createScriptedLanguageModel([
  "Hello there. And",
  new Promise(() => undefined),
]);
let folder: string;
let gateway: Gateway;

const write = (tokens: readonly { readonly stored: (typeof good)["stored"] }[]) =>
  writeTokenFile(join(folder, "tokens.json"), {
    tokens: tokens.map(({ stored }) => stored),
    revokedJwts: [],
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-doors-"));
  await write([good, leaked, other]);
  const env = { DATA_DIR: folder, AUTH_MODE: "token" };
  const voice = createSpellingVoice({
    gate: (text) => (text === "Wait." ? new Promise(() => undefined) : undefined),
  });
  gateway = await startGateway({ env, languageModels: [languageModel], synthesizers: [voice] });
});
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true });
});

/** A revocation ends running streams within this time. */
const REVOKED_WITHIN_MS = 5000;

const bearer = ({ token }: { readonly token: string }) => ({ authorization: `Bearer ${token}` });

const openSocket = (path: string, protocols: string[], headers: Record<string, string> = {}) =>
  new WebSocket(`ws://127.0.0.1:${gateway.httpPort}${path}`, protocols, { headers });

/** The status of its handshake. */
async function statusOfSocket(socket: WebSocket): Promise<number> {
  socket.on("error", () => undefined);
  const status = await Promise.race([
    once(socket, "unexpected-response").then(([, { statusCode }]) => statusCode),
    once(socket, "open").then(() => 101),
  ]);
  socket.terminate();
  return status;
}

describe("OpenAI's door with AUTH_MODE=token", () => {
  const paths = ["/v1/audio/speech", "/v1/chat/completions"];
  const bodies = [
    { model: "m", voice: "alloy", input: "Hi.", response_format: "pcm" },
    { model: "m", messages: [{ role: "user", content: "Hi." }], stream: true },
  ];

  it.each(paths.map((path, index) => [path, bodies[index]] as const))(
    "takes the API key of %s for the token, and wants the scope speak",
    async (path, body) => {
      const post = (headers: Record<string, string>) =>
        fetch(`${gateway.httpUrl}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(body),
        });
      expect((await post({})).status).toBe(401);
      expect((await post({ authorization: "Bearer wrong" })).status).toBe(401);
      expect((await post(bearer(other))).status).toBe(403);
      const response = await post(bearer(good));
      expect(response.status).toBe(200);
      await response.body?.cancel();
    },
  );

  it("wants a token for the lists", async () => {
    const get = async (path: string, headers: Record<string, string>) =>
      (await fetch(`${gateway.httpUrl}${path}`, { headers })).status;
    for (const path of ["/v1/models", "/v1/models/parley", "/v1/audio/voices"]) {
      expect(await get(path, {}), path).toBe(401);
      expect(await get(path, bearer(other)), path).toBe(200);
    }
  });

  it("opens a WebSocket for a token in the header, or in the subprotocol of a page", async () => {
    const statusOf = (protocols: string[], headers: Record<string, string>) =>
      statusOfSocket(openSocket("/v1/realtime", protocols, headers));
    expect(await statusOf([], {})).toBe(401);
    expect(await statusOf([], { authorization: "Bearer wrong" })).toBe(401);
    expect(await statusOf([], bearer(other))).toBe(403);
    expect(await statusOf([], bearer(good))).toBe(101);
    const keyOf = ({ token }: { readonly token: string }) => `openai-insecure-api-key.${token}`;
    expect(await statusOf(["realtime", keyOf(good)], {})).toBe(101);
    expect(await statusOf(["realtime", keyOf(other)], {})).toBe(403);
  });

  it("runs a session's turns for the token's device, and ends them when the token is revoked", async () => {
    await using client = await connectRealtime(gateway.httpPort, bearer(leaked));
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    expect(languageModel.prompts.at(-1)?.deviceId).toBe("d");
    await expectRevoked(client.socket, () => write([good, other]));
  });
});

async function expectRevoked(socket: WebSocket, revoke: () => Promise<void>): Promise<void> {
  const closed = once(socket, "close");
  const revokedMs = performance.now();
  await revoke();
  const [code, reason] = await closed;
  expect(performance.now() - revokedMs).toBeLessThan(REVOKED_WITHIN_MS);
  expect({ code, reason: `${reason}` }).toEqual({ code: 1008, reason: "the token was revoked" });
  await gateway.untilIdle();
}

describe("Deepgram's door with AUTH_MODE=token", () => {
  const open = (protocols: string[], headers?: Record<string, string>) =>
    openSocket("/v1/speak?encoding=linear16", protocols, headers);
  const statusOf = (protocols: string[], headers?: Record<string, string>) =>
    statusOfSocket(open(protocols, headers));

  it("takes the API key for the token, and wants the scope speak", async () => {
    expect(await statusOf([])).toBe(401);
    expect(await statusOf([], { authorization: "Token wrong" })).toBe(401);
    expect(await statusOf([], { authorization: `Token ${other.token}` })).toBe(403);
    expect(await statusOf([], { authorization: `Token ${good.token}` })).toBe(101);
    expect(await statusOf(["token", good.token])).toBe(101);
    expect(await statusOf(["token", other.token])).toBe(403);
  });

  it("ends what is being spoken within 5 s of the token's revocation", async () => {
    await write([good, leaked, other]);
    await expect.poll(() => statusOf(["token", leaked.token]), { timeout: 5000 }).toBe(101);
    const socket = open(["token", leaked.token]);
    await once(socket, "open");
    const sounds = new Promise((resolve) =>
      socket.on("message", (_data, isBinary) => isBinary && resolve(undefined)),
    );
    socket.send(JSON.stringify({ type: "Speak", text: "One is here. Wait." }));
    socket.send(JSON.stringify({ type: "Flush" }));
    await sounds;
    await expectRevoked(socket, () => write([good, other]));
  });

  it("leaves the session of another token open", async () => {
    await using client = await connectRealtime(gateway.httpPort, bearer(good));
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    const again = open(["token", good.token]);
    await once(again, "open");
    await write([good]);
    expect(await statusOf(["token", good.token])).toBe(101);
    expect([again.readyState, client.socket.readyState]).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
    again.terminate();
  });
});
