import { describe, expect, it } from "vitest";
import { localCaller } from "../auth/caller.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { createEncoders } from "../encoding/encoders.ts";
import { answerTurn } from "./speak-answer.ts";
import { readBody } from "./speak-fields.ts";

type Batch = readonly TurnChunk[];
const text = (words: string): Batch => [{ type: "text", text: words }];
const sound = (samples: number): Batch => [
  { type: "audio", pcm: new Int16Array(samples), synthesizer: "s" },
];
const long = "A sentence that nobody would call a short one.";

/** Answers a turn of these batches, then the error if there is one. `pulled` counts the batches. */
async function answer(format: string, batches: readonly Batch[], error?: Error) {
  const count = { pulled: 0 };
  const conversation: Pick<Conversation, "talk"> = {
    async *talk() {
      for (const batch of batches) {
        count.pulled += 1;
        yield batch;
      }
      if (error) throw error;
    },
  };
  const request = readBody(JSON.stringify({ prompt: "p", hardware_id: "d", format }), localCaller);
  const response = await answerTurn(request, conversation as Conversation, {
    signal: new AbortController().signal,
    isEventSource: false,
    encoders: createEncoders(),
    cut: () => undefined,
  });
  return { response, pulled: count.pulled, length: response.headers.get("content-length") };
}

describe("answerTurn", () => {
  it.each(["wav", "pcm"])("tells the length of a short %s that is ready", async (format) => {
    const { response, length } = await answer(format, [text("Hi."), sound(300), sound(200)]);
    expect(length).toBe(format === "wav" ? "1044" : "1000");
    expect((await response.arrayBuffer()).byteLength).toBe(Number(length));
  });

  it("gathers nothing of a longer reply: it leaves with its first sound", async () => {
    const batches = [text(long), sound(300), sound(300), sound(300), sound(300)];
    const { response, pulled, length } = await answer("wav", batches);
    expect(length).toBeNull();
    // The text, the sound, and the batch that is waited for.
    expect(pulled).toBe(3);
    expect((await response.arrayBuffer()).byteLength).toBe(44 + 8192);
  });

  it("stops to gather at a second sentence that makes the reply long", async () => {
    const batches = [text("Yes."), sound(300), text(long), sound(300), sound(300)];
    expect(await answer("wav", batches)).toMatchObject({ pulled: 4, length: null });
  });

  it("stops to gather after 3 s of sound, whatever the text", async () => {
    const batches = [text("11111"), ...Array.from({ length: 10 }, () => sound(48_000))];
    expect(await answer("wav", batches)).toMatchObject({ pulled: 6, length: null });
  });

  it("holds no event back", async () => {
    const { response, pulled } = await answer("sse", [text("Hi."), sound(300), sound(300)]);
    expect(pulled).toBe(2);
    const names = [...(await response.text()).matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
    expect(names).toEqual(["text", "audio", "audio", "end"]);
  });

  it("throws what fails before the first sound", async () => {
    await expect(answer("wav", [text("Hi.")], new Error("no voice"))).rejects.toThrow("no voice");
  });

  it("survives a failure that nobody reads as far as", async () => {
    const { response } = await answer("wav", [text(long), sound(300)], new Error("too late"));
    // An unhandled rejection would end the process; the next turn of the loop would tell.
    await new Promise((resolve) => setImmediate(resolve));
    await expect(response.arrayBuffer()).resolves.toBeInstanceOf(ArrayBuffer);
  });
});
