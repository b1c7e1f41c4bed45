import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createSuite, type Suite } from "./suite.ts";
import { readToldWords } from "./told-words.ts";

type Look = { readonly lit: number; readonly played: number };

/** Notes how many words are lit, and how far the voice is, whenever that changes. */
const watchLights = `(() => {
  const turn = document.querySelector("#turn");
  globalThis.looks = [];
  new MutationObserver(() => {
    const [lit, played] = [turn.dataset.wordsHeard, turn.dataset.playedSamples].map(Number);
    globalThis.looks.push({ lit, played });
  }).observe(turn, { attributeFilter: ["data-words-heard", "data-played-samples"] });
})()`;

/** Speaks `text`: what the gateway told of its words, and what the page showed while it was heard. */
async function speak({ visit }: Suite, text: string) {
  let told: readonly number[] = [];
  let looks: readonly Look[] = [];
  await visit(async ({ page, send, reaches, number }) => {
    await page.evaluate(watchLights);
    const response = page.waitForResponse(/StreamAudio/);
    await send(`say: ${text}`);
    await reaches("speaking");
    await reaches("idle");
    told = readToldWords(await (await response).body()).map((word) => Number(word.startSample));
    const total = await number("received-samples");
    const all = (await page.evaluate("globalThis.looks")) as Look[];
    looks = all.filter(({ played }) => played > 0 && played < total);
  });
  return { told, looks };
}

/** How many words too many (or, below 0, too few) were lit at each look. */
function misses({ told, looks }: Awaited<ReturnType<typeof speak>>): readonly number[] {
  return looks.map(({ lit, played }) => lit - told.filter((start) => start <= played).length);
}

describe("the page lights words as the gateway tells them", () => {
  const suite = createSuite();

  // By the page's own estimate the numbers would take most of the time, for they are long to say;
  // the tone takes its time by the letter.
  it("where its own estimate would be several words behind", async () => {
    const spoken = await speak(suite, "10, 20, 30, 40, counterrevolutionaries.");
    expect(spoken.told).toHaveLength(5);
    expect(new Set(spoken.looks.map(({ lit }) => lit)).size).toBeGreaterThan(3);
    expect(misses(spoken).filter((words) => Math.abs(words) > 1)).toEqual([]);
  });
});

/** Settles once the gateway's voice speaks. The local one loads for longer than a turn waits for it. */
async function voiceReady({ gateway }: Suite): Promise<void> {
  const transport = createConnectTransport({ baseUrl: gateway().url, httpVersion: "1.1" });
  const client = createClient(StreamingService, transport);
  const greet = async () => {
    let end = "";
    for await (const { content } of client.generateWelcomeAudio({ text: "Ready." })) {
      if (content.case === "endMessage") end = content.value;
    }
    return end;
  };
  await expect.poll(greet, { timeout: 50_000, interval: 500 }).toBe("greeting_done");
}

describe("the page lights the words of the local voice", () => {
  const suite = createSuite({ voice: "local" });

  it("as they are told", { timeout: 90_000 }, async () => {
    await voiceReady(suite);
    const spoken = await speak(suite, "one two three four");
    expect(spoken.told).toHaveLength(4);
    expect(new Set(spoken.looks.map(({ lit }) => lit)).size).toBeGreaterThan(2);
    expect(misses(spoken).filter((words) => Math.abs(words) > 1)).toEqual([]);
  });
});
