import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService, type StreamResponse } from "../../gen/streaming/streaming_pb.ts";
import { createLocalVoice, createLocalWorkers } from "../../server/local-tts/dittli/dittli.ts";
import { createToneVoice } from "../../server/providers/tone.ts";
import { startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { stallProcess } from "../support/stall.ts";

/** The local voice's processes that this one has started. */
function speakers(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return parent === `${process.pid}` && command.includes("dittli/worker.ts");
      } catch {
        return false;
      }
    });
}

/** A turn's text, and the longest wait for a message. `onAudio` is called at the first sound. */
async function follow(replies: AsyncIterable<StreamResponse>, onAudio: () => void) {
  let text = "";
  let longestMs = 0;
  let hasSound = false;
  let lastMs = performance.now();
  for await (const { content } of replies) {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    if (content.case === "textChunk") text += content.value;
    if (content.case === "audioChunk" && !hasSound) onAudio();
    hasSound ||= content.case === "audioChunk";
    lastMs = performance.now();
  }
  return { text, longestMs };
}

describe.runIf(process.platform === "linux")("a voice that hangs in a turn", () => {
  it("is replaced, and the turn goes on within 6 s", { timeout: 120_000 }, async () => {
    const workerPool = createLocalWorkers(join(tmpdir(), "parley-hung-voice"));
    const voice = createLocalVoice({ transliterate: true, workerPool });
    await workerPool.open();
    const reply = "I think you should try turning it off and on again. ".repeat(8);
    await using gateway = await startGateway({
      languageModels: [createScriptedLanguageModel(() => [reply])],
      synthesizers: [voice, createToneVoice()],
      env: { MAX_PROCESSING_TIME: "100" },
    });
    const transport = createGrpcTransport({ baseUrl: gateway.url });
    const client = createClient(StreamingService, transport);
    const hung = speakers();
    const { text, longestMs } = await follow(
      client.streamAudio({ prompt: "go", hardwareId: "d" }),
      () => {
        for (const pid of hung) stallProcess(pid);
      },
    );
    expect(hung.length).toBeGreaterThan(0);
    expect(text).toBe(reply);
    expect(longestMs).toBeGreaterThan(1_000);
    expect(longestMs).toBeLessThan(6_000);
    // Those that hung were ended, and another took their place.
    await expect.poll(speakers).not.toEqual(expect.arrayContaining([...hung]));
    await workerPool.open();
  });
});
