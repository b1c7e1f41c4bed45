import { setImmediate as turnOfLoop } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { samplesOf } from "../server/core/audio/pcm.ts";
import { createOfflineModel } from "../server/providers/offline.ts";
import { startGateway } from "./support/gateway.ts";
import { createSpellingVoice, readSpelling } from "./support/spelling-voice.ts";

const TURNS = 50;

/** What keeps a process busy, by kind: sockets, timers, servers. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** What is there now beyond what was there before, by kind. */
function added(before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const more = Object.entries(resources()).map(([kind, count]) => [
    kind,
    count - (before[kind] ?? 0),
  ]);
  return Object.fromEntries(more.filter(([, count]) => Number(count) > 0));
}

/** Waits for the loop to close what is closing. Without a timer: that would be counted too. */
async function settle(before: Readonly<Record<string, number>>): Promise<void> {
  for (let round = 0; round < 5000 && Object.keys(added(before)).length > 0; round++) {
    await turnOfLoop();
  }
  expect(added(before)).toEqual({});
}

describe("a gateway with 50 turns at once", () => {
  it("gives each device exactly its own words, and leaves nothing behind", async () => {
    const before = resources();
    const voice = createSpellingVoice();
    const gateway = await startGateway({
      languageModels: [createOfflineModel()],
      synthesizers: [voice],
    });
    for (let round = 0; round < 100; round++) await turnOfLoop();
    const listening = resources();
    const sessions = new Http2SessionManager(gateway.url);
    const transport = createGrpcTransport({ baseUrl: gateway.url, sessionManager: sessions });
    const client = createClient(StreamingService, transport);

    const talk = async (index: number) => {
      const words = `Device ${index} speaks. It says ${"abc ".repeat(index)}and ends.`;
      const text: string[] = [];
      const pcm: Int16Array[] = [];
      const request = { prompt: `say: ${words}`, hardwareId: `device-${index}` };
      for await (const { content } of client.streamAudio(request)) {
        if (content.case === "textChunk") text.push(content.value);
        if (content.case === "audioChunk") pcm.push(samplesOf(content.value.audioData));
      }
      return { words, text: text.join(""), spoken: readSpelling(pcm) };
    };
    const all = await Promise.all(Array.from({ length: TURNS }, (_, index) => talk(index)));
    for (const { words, text, spoken } of all) {
      expect(text).toBe(words);
      expect(spoken).toBe(words);
    }

    expect(gateway.status()).toMatchObject({ activeSessions: 0, turns: { done: TURNS } });
    expect(voice.active()).toBe(0);
    sessions.abort();
    // The connection that carried the turns has gone; what listened before them listens still.
    await settle(listening);
    await gateway.stop();
    await settle(before);
  });

  it("frees every turn when all of its clients vanish at once", async () => {
    const voice = createSpellingVoice({
      gate: (text) => (text.startsWith("Wait") ? new Promise(() => undefined) : undefined),
    });
    await using gateway = await startGateway({
      languageModels: [createOfflineModel()],
      synthesizers: [voice],
    });
    const sessions = new Http2SessionManager(gateway.url);
    const transport = createGrpcTransport({ baseUrl: gateway.url, sessionManager: sessions });
    const client = createClient(StreamingService, transport);
    const streams = Array.from({ length: TURNS }, (_, index) =>
      client
        .streamAudio({ prompt: "say: Go. Wait.", hardwareId: `device-${index}` })
        [Symbol.asyncIterator](),
    );
    await Promise.all(streams.map((stream) => stream.next()));
    expect(gateway.status().activeSessions).toBe(TURNS);
    sessions.abort();
    await vi.waitFor(() => expect(gateway.status().activeSessions).toBe(0), 10_000);
    expect(voice.active()).toBe(0);
    await Promise.allSettled(streams.map((stream) => stream.next()));
  });
});
