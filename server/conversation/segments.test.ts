import { describe, expect, it } from "vitest";
import type { ReplyPart } from "../models/language-model.ts";
import { segments } from "./segments.ts";

const text = (words: string): ReplyPart => ({ type: "text", text: words });
const transcript = (words: string): ReplyPart => ({ type: "transcript", text: words });
const audio: ReplyPart = { type: "audio", pcm: new Int16Array(1), sampleRateHz: 24_000 };

async function* play(...parts: readonly (ReplyPart | Error)[]) {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield part;
  }
}

async function read(parts: AsyncIterable<ReplyPart>) {
  const got: [string, ReplyPart[]][] = [];
  for await (const segment of segments(parts)) {
    got.push([segment.kind, await Array.fromAsync<ReplyPart>(segment.parts)]);
  }
  return got;
}

describe("segments", () => {
  it("cuts a reply where its kind changes", async () => {
    expect(await read(play(transcript("a"), audio, text("b"), text("c"), audio))).toEqual([
      ["voice", [transcript("a"), audio]],
      ["text", [text("b"), text("c")]],
      ["voice", [audio]],
    ]);
  });

  it("yields nothing for an empty reply", async () => {
    expect(await read(play())).toEqual([]);
  });

  it("returns the reply when its reader leaves", async () => {
    let returned = false;
    async function* reply() {
      try {
        yield text("a");
        yield text("b");
      } finally {
        returned = true;
      }
    }
    for await (const segment of segments(reply())) {
      for await (const _ of segment.parts) break;
      break;
    }
    expect(returned).toBe(true);
  });

  it("passes an error on inside the segment that it interrupts", async () => {
    await expect(read(play(text("a"), new Error("boom")))).rejects.toThrow("boom");
  });
});
