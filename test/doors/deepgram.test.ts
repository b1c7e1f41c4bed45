import { once } from "node:events";
import { DeepgramClient } from "@deepgram/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { bytesOf } from "../../server/core/audio/pcm.ts";
import { createResampler } from "../../server/core/audio/resample.ts";
import { ProviderError } from "../../server/core/errors.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { createTimedVoice, readSpelled24 } from "./spelled.ts";

const never = new Promise<never>(() => undefined);
let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway({
    synthesizers: [createSpellingVoice({ gate: gateOf })],
  });
});
afterEach(() => gateway.stop());

/** No voice speaks one sentence, and all hang in another. */
function gateOf(text: string): Promise<unknown> | undefined {
  if (text === "Wait.") return never;
  if (text !== "Fail.") return undefined;
  return Promise.reject(new ProviderError("spelling", "server", "went away"));
}

async function spelled(sound: readonly Blob[]): Promise<string> {
  return readSpelled24(new Uint8Array(await new Blob([...sound]).arrayBuffer()));
}

type Message = { readonly type: string; readonly [field: string]: unknown };

async function connect(options: object = {}) {
  const client = new DeepgramClient({
    apiKey: "unused",
    environment: {
      base: gateway.httpUrl,
      production: gateway.httpUrl.replace("http", "ws"),
      agent: gateway.httpUrl,
    } as never,
  });
  const socket = await client.speak.v1.connect({
    model: "aura-2-thalia-en",
    encoding: "linear16",
    sample_rate: "24000",
    reconnectAttempts: 0,
    ...options,
  } as never);
  const messages: Message[] = [];
  const sound: Blob[] = [];
  let wake: () => void = () => undefined;
  let closed = false;
  socket.on("message", (message: unknown) => {
    if (message instanceof Blob) sound.push(message);
    else messages.push(message as Message);
    wake();
  });
  socket.on("close", () => {
    closed = true;
    wake();
  });
  const until = async (ready: () => boolean) => {
    while (!ready()) await new Promise<void>((resolve) => (wake = resolve));
  };
  socket.connect();
  await socket.waitForOpen();
  return {
    socket,
    messages,
    sound,
    say: (text: string) => socket.sendText({ type: "Speak", text }),
    flush: () => socket.sendFlush({ type: "Flush" }),
    until: (type: string) => until(() => messages.some((message) => message.type === type)),
    untilSound: () => until(() => sound.length > 0),
    untilClosed: () => until(() => closed),
  };
}

describe("Deepgram's client", () => {
  it("gets a whole text in several pieces, between Metadata and Flushed", async () => {
    const client = await connect();
    client.say("One is here. ");
    client.say("Two is there. Three is gone.");
    client.flush();
    await client.until("Flushed");
    expect(client.sound.length).toBeGreaterThanOrEqual(3);
    expect(await spelled(client.sound)).toBe("One is here. Two is there. Three is gone.");
    expect(client.messages.map(({ type }) => type)).toEqual(["Metadata", "Flushed"]);
    client.socket.sendClose({ type: "Close" });
    await client.untilClosed();
  });

  it("stops the tiers with Clear, and goes on", async () => {
    const client = await connect();
    client.say("One is here. Wait.");
    client.flush();
    await client.untilSound();
    client.socket.sendClear({ type: "Clear" });
    await client.until("Cleared");
    await gateway.untilIdle();
    client.sound.length = 0;
    client.say("Again.");
    client.flush();
    await client.until("Flushed");
    expect(await spelled(client.sound)).toBe("Again.");
    client.socket.close();
  });

  it("does not notice a failover in mid-sentence", async () => {
    await gateway.stop();
    gateway = await startGateway({
      synthesizers: [createTimedVoice({ breaksAfter: 7 }), createSpellingVoice()],
    });
    const client = await connect();
    client.say("One is here. Two is there.");
    client.flush();
    await client.until("Flushed");
    // The next voice begins with the white space that the first one spelled as well.
    const words = (await spelled(client.sound)).split(/ +/).join(" ");
    expect(words).toBe("One is here. Two is there.");
    expect(client.messages.map(({ type }) => type)).toEqual(["Metadata", "Flushed"]);
    client.socket.close();
  });

  it("gets the samples of the gateway's own stream, resampled", async () => {
    const client = await connect();
    client.say("One is here. Two is there.");
    client.flush();
    await client.until("Flushed");
    client.socket.close();
    const query = new URLSearchParams({
      prompt: "__GREETING__:One is here. Two is there.",
      hardware_id: "d",
      format: "pcm",
    });
    const own = await (await fetch(`${gateway.httpUrl}/v1/speak?${query}`)).arrayBuffer();
    const resampler = createResampler(48_000, 24_000);
    const pcm = [resampler.push(new Int16Array(own)), resampler.flush()];
    const sound = await new Blob(client.sound).arrayBuffer();
    expect(Buffer.from(sound).equals(Buffer.concat(pcm.map(bytesOf)))).toBe(true);
  });

  it("gets a Warning for a text that no voice speaks, and speaks the next", async () => {
    const client = await connect();
    client.say("Fail.");
    client.flush();
    await client.until("Warning");
    expect(client.messages).toContainEqual(
      expect.objectContaining({ type: "Warning", code: "SERVICE_UNAVAILABLE" }),
    );
    client.say("Next.");
    client.flush();
    await client.untilSound();
    client.socket.close();
  });

  it("stops the tiers when it leaves", async () => {
    const client = await connect();
    client.say("One is here. Wait.");
    client.flush();
    await client.untilSound();
    client.socket.close();
    await gateway.untilIdle();
  });
});

describe("/v1/speak", () => {
  it("refuses what it does not speak, in Deepgram's shape", async () => {
    const url = gateway.httpUrl.replace("http", "ws");
    const socket = new WebSocket(`${url}/v1/speak?encoding=mulaw`);
    const [, response] = await once(socket, "unexpected-response");
    let body = "";
    for await (const piece of response) body += piece;
    expect(response.statusCode).toBe(400);
    expect(JSON.parse(body)).toMatchObject({
      err_code: "INVALID_QUERY_PARAMETER",
      err_msg: "encoding must be linear16 on this gateway",
    });
    socket.once("error", () => undefined).terminate();
  });

  it("still speaks by GET", async () => {
    const response = await fetch(`${gateway.httpUrl}/v1/speak?prompt=p&hardware_id=d`);
    expect(response.headers.get("content-type")).toBe("audio/wav");
    await response.arrayBuffer();
  });
});
