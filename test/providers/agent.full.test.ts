import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startAgentEmulator } from "../../emulators/agent.ts";
import { createAgentModel } from "../../server/agent/language-model.ts";
import { startAgent } from "../agent/agents.ts";
import { languageModelSuite } from "../contracts/language-model-suite.ts";
import { never } from "../contracts/language-model-suite-faults.ts";

/** The tier with a real process between it and the emulator. */
async function openTier() {
  const emulator = await startAgentEmulator();
  const relay = fileURLToPath(new URL("../agent/relay-agent.ts", import.meta.url));
  const { agent, untilState } = startAgent([process.execPath, relay, String(emulator.port)]);
  await untilState("ready");
  const stop = async () => {
    await agent.stop();
    await emulator.stop();
  };
  const languageModel = createAgentModel(agent, { systemPrompt: "Be brief." });
  return { languageModel, emulator, agent, stop };
}

languageModelSuite(
  "agent",
  async () => {
    const { languageModel, emulator, stop } = await openTier();
    return { languageModel, play: emulator.play, active: emulator.active, stop };
  },
  // An agent has no account, and gRPC's status has no place for a delay.
  { without: ["quota"], withoutRetryAfter: true },
);

describe("createAgentModel", () => {
  it("sends the turn as a prompt with its context, in order", async () => {
    const { languageModel, emulator, stop } = await openTier();
    emulator.play({ deltas: ["four."] });
    const prompt = {
      text: "Count.",
      sessionId: "session-1",
      screen: { width: 640, height: 480 },
      memory: "Likes numbers.",
      history: [{ user: "Hello.", assistant: "Hi." }],
      prefix: "One two three ",
    };
    await Array.fromAsync(languageModel.generate(prompt, never()));
    expect(emulator.requests.at(-1)).toMatchObject({
      prompt: "Count.",
      parameters: { session_id: "session-1" },
      context: [
        { key: "instructions", value: "Be brief.", type: "system" },
        { key: "memory", value: "Likes numbers.", type: "memory" },
        { key: "screen", value: "640x480", type: "screen" },
        { key: "user", value: "Hello.", type: "message" },
        { key: "assistant", value: "Hi.", type: "message" },
        { key: "assistant", value: "One two three ", type: "prefix" },
      ],
    });
    await stop();
  });

  it("sends the client's instructions in place of the system prompt", async () => {
    const { languageModel, emulator, stop } = await openTier();
    emulator.play({ deltas: ["Hi."] });
    const prompt = { text: "Hello.", instructions: "Be long." };
    await Array.fromAsync(languageModel.generate(prompt, never()));
    expect(emulator.requests.at(-1)?.context).toMatchObject([
      { key: "instructions", value: "Be long.", type: "system" },
    ]);
    await stop();
  });

  // A connection that ends without an error at an unlucky moment was once waited for: one in twenty.
  it("fails at once when its connection is lost, 100 times", async () => {
    const { languageModel, emulator, stop } = await openTier();
    emulator.play({ deltas: ["four."], fault: { kind: "refuse" } });
    for (let time = 0; time < 100; time++) {
      const reply = Array.fromAsync(languageModel.generate({ text: "Count." }, never()));
      await expect(reply).rejects.toMatchObject({ provider: "agent", kind: "connectivity" });
    }
    await stop();
  });

  it("fails at once while there is no agent, without a mock", async () => {
    const { agent } = startAgent(["/nowhere"]);
    const languageModel = createAgentModel(agent, { systemPrompt: "" });
    const reply = Array.fromAsync(languageModel.generate({ text: "Hello." }, never()));
    await expect(reply).rejects.toMatchObject({ provider: "agent", kind: "connectivity" });
    await agent.stop();
  });
});
