import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hasPython, runPythonTurn } from "../support/client-python.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { playNatively, stutterOf } from "../support/native-player.ts";
import { createPicture, toBase64 } from "../support/pictures.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";

const it = test.skipIf(!hasPython());
const picture = createPicture("image/jpeg", 240, 150);
const screen = { screenshot: toBase64(picture), screen_width: 1440, screen_height: 900 };

async function turn(gateway: Gateway, request: object) {
  return await Array.fromAsync(runPythonTurn(gateway, request, new AbortController().signal));
}

describe("Python grpcio, asking as the native clients do", () => {
  it("brings a JPEG without a session, and plays three sentences without a gap", async () => {
    const languageModel = createScriptedLanguageModel([
      "The first sentence is here. ",
      "So is the second one. ",
      "Then comes the third.",
    ]);
    await using gateway = await startGateway({ languageModels: [languageModel] });
    const request = { prompt: "What is this?", hardware_id: randomUUID().toUpperCase(), ...screen };
    const playback = playNatively(await turn(gateway, request));
    expect(playback).toMatchObject({ sentenceEnds: { length: 3 }, finished: true });
    expect(stutterOf(playback)).toEqual([]);
    expect(languageModel.prompts).toMatchObject([{ text: "What is this?", screenshot: picture }]);
  });

  it("always sends a screenshot, if an empty one", async () => {
    const languageModel = createScriptedLanguageModel(["Fine."]);
    await using gateway = await startGateway({ languageModels: [languageModel] });
    await turn(gateway, { prompt: "Well?", hardware_id: randomUUID(), screenshot: "" });
    expect(languageModel.prompts[0]).not.toHaveProperty("screenshot");
  });

  it("collects a prompt in pieces with a JPEG, and commits it", async () => {
    const languageModel = createScriptedLanguageModel(["A screen."]);
    await using gateway = await startGateway({ languageModels: [languageModel] });
    const device = { hardware_id: randomUUID(), session_id: randomUUID() };
    const piece = { ...device, ...screen, phase: "REQUEST_PHASE_COLLECT", chunk_seq: 1 };
    const collected = await turn(gateway, { ...piece, chunk_text: "What is on" });
    expect(collected.map(({ content }) => content)).toEqual([
      { case: "endMessage", value: "COLLECT_ACCEPTED" },
    ]);
    const commit = { ...device, phase: "REQUEST_PHASE_COMMIT", prompt: "on my screen?" };
    expect((await turn(gateway, commit)).at(-1)?.content.value).toBe("done");
    expect(languageModel.prompts).toMatchObject([
      { text: "What is on my screen?", screenshot: picture },
    ]);
  });
});
