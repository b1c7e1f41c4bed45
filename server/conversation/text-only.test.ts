import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import type { TierPart } from "../failover/text.ts";
import { textOnlySegments } from "./text-only.ts";

const source = { tier: "model" };
const sound: TierPart["part"] = { type: "audio", pcm: new Int16Array(1), sampleRateHz: 24_000 };

/** A reply of these parts, each pulled alone, that ends with the error if there is one. */
async function* replyOf(
  parts: readonly TierPart["part"][],
  error?: Error,
): AsyncGenerator<readonly TierPart[]> {
  for (const part of parts) yield [{ source, part }];
  if (error) throw error;
}

async function read(
  reply: AsyncIterable<readonly TierPart[]>,
  signal = new AbortController().signal,
) {
  const causes: Error[] = [];
  const request = { prompt: { text: "Hi." }, onPartial: (cause: Error) => causes.push(cause) };
  const segments = await Array.fromAsync(textOnlySegments(reply, request, signal));
  return { texts: segments.map(({ text }) => text), causes };
}

describe("textOnlySegments", () => {
  it("passes each delta on as it comes, with its tier, and leaves empty ones out", async () => {
    const reply = replyOf([
      { type: "text", text: "Hel" },
      { type: "text", text: "" },
      { type: "text", text: "lo." },
    ]);
    const request = { prompt: { text: "Hi." }, onPartial: () => undefined };
    const { signal } = new AbortController();
    expect(await Array.fromAsync(textOnlySegments(reply, request, signal))).toEqual([
      { text: "Hel", source },
      { text: "lo.", source },
    ]);
  });

  it("has the transcript of a model that speaks by itself, without its sound", async () => {
    const reply = replyOf([sound, { type: "transcript", text: "Hello." }, sound]);
    expect((await read(reply)).texts).toEqual(["Hello."]);
  });

  it("ends a reply that broke off with what there is, and tells the cause", async () => {
    const error = new ProviderError("model", "server", "broke off");
    const reply = replyOf([{ type: "text", text: "Hel" }], error);
    expect(await read(reply)).toEqual({ texts: ["Hel"], causes: [error] });
  });

  it("says a refusal in place of a reply that was withheld", async () => {
    const reply = replyOf([], new ProviderError("model", "withheld", "no"));
    expect((await read(reply)).texts).toEqual(["I'm sorry, I can't help with that."]);
  });

  it("ends without a word where the model has nothing to say", async () => {
    const reply = replyOf([], new ProviderError("model", "empty", "nothing"));
    expect((await read(reply)).texts).toEqual([]);
  });

  it("throws what failed before the first delta, and the reason of a cancel", async () => {
    const error = new ProviderError("model", "server", "is down");
    await expect(read(replyOf([], error))).rejects.toBe(error);
    const reason = new Error("left");
    const cancelled = read(replyOf([], error), AbortSignal.abort(reason));
    await expect(cancelled).rejects.toBe(reason);
  });
});
