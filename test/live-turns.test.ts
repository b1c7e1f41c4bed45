import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../emulators/gemini-live.ts";
import { ConversationService } from "../gen/parley/v1/conversation_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { createGeminiLiveModel } from "../server/providers/gemini-live/gemini-live.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";

let emulator: GeminiLiveEmulator;
let gateway: Gateway;
beforeEach(async () => {
  emulator = await startGeminiLiveEmulator();
  emulator.play({ deltas: ["Well", "."] });
  const access = { apiKey: "k", baseUrl: emulator.url, model: "emulated" };
  gateway = await startGateway({
    languageModels: [createGeminiLiveModel({ ...access, warmConnections: 0 })],
  });
});
afterEach(async () => {
  await gateway.stop();
  await emulator.stop();
});

const transport = () => createGrpcTransport({ baseUrl: gateway.url });
const client = () => createClient(StreamingService, transport());

/** The reply's words, all of which are heard. */
async function say(prompt: string): Promise<string> {
  const messages = await Array.fromAsync(client().streamAudio({ prompt, hardwareId: "d" }));
  expect(messages.at(-1)?.content).toEqual({ case: "endMessage", value: "done" });
  const { turnId = "" } = messages[0] ?? {};
  await createClient(ConversationService, transport()).reportPlayback({
    hardwareId: "d",
    turnId,
    samplesPlayed: 2n ** 40n,
  });
  return messages
    .map(({ content }) => (content.case === "textChunk" ? content.value : ""))
    .join("");
}

/** Asks, and interrupts the reply after its first words. */
async function bargeIn(prompt: string): Promise<void> {
  emulator.play({ deltas: ["Well, as"], fault: { kind: "hang", afterParts: 1 } });
  const steps = client().streamAudio({ prompt, hardwareId: "d" })[Symbol.asyncIterator]();
  await steps.next();
  await client().interruptSession({ hardwareId: "d" });
  await expect(steps.next().then(() => steps.next())).rejects.toThrow("interrupted");
  emulator.play({ deltas: ["Well", "."] });
}

/** What the service knew before the last turn, and what that told it. */
function lastTurn() {
  const request = emulator.requests.at(-1);
  const texts = request?.contents.flatMap(({ parts = [] }) => parts.map(({ text }) => text));
  return { knew: request?.heard, told: texts };
}

describe("a conversation with gemini-live", () => {
  it("forgets no exchange after a barge-in, though the service completes its turns 3 s late", async () => {
    await say("One");
    await expect.poll(() => emulator.handles()).toBe(1);
    emulator.behave({ lagMs: 3_000 });
    await say("Two");
    await bargeIn("Three");
    await say("Four");
    expect(lastTurn()).toEqual({
      knew: ["One"],
      // What was cut at once was not heard, however much of it was sent.
      told: ["Two", "Well.", "Three", "[interrupted]", "Four"],
    });
  });

  it("takes a prompt that was said before for a turn of its own", async () => {
    await say("yes");
    await expect.poll(() => emulator.handles()).toBe(1);
    await bargeIn("yes");
    await say("yes");
    expect(lastTurn()).toEqual({ knew: ["yes"], told: ["yes", "[interrupted]", "yes"] });
  });

  it("ends well where the model has nothing to say, and asks it again next time", async () => {
    emulator.behave({ isQuiet: true });
    const messages = await Array.fromAsync(
      client().streamAudio({ prompt: "(a cough)", hardwareId: "d" }),
    );
    expect(messages).toMatchObject([
      { content: { case: "endMessage", value: "done" }, partial: false },
    ]);
    expect(messages[0]?.turnId).not.toBe("");
    expect(messages[0]?.sessionId).not.toBe("");
    emulator.behave({});
    expect(await say("Hello")).toBe("Well.");
    expect(gateway.status().providers[0]).toMatchObject({ breaker: "CLOSED", failed: 0 });
  });

  it("gives the answer behind a filler to its own question", async () => {
    emulator.behave({ filler: `${"m".repeat(79)} `, lagMs: 400, thinkMs: 600 });
    expect(await say("What time is it?")).toBe(`${"m".repeat(79)} Well.`);
    emulator.behave({});
    emulator.play({ deltas: ["Blue."] });
    expect(await say("And the sky?")).toBe("Blue.");
  });
});
