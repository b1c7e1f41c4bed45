import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startEdgeEmulator } from "../../../emulators/edge.ts";
import { readDocument } from "../../../emulators/microsoft-speech-messages.ts";
import type { SpeechEmulator } from "../../../emulators/microsoft-speech-server.ts";
import { synthesizerSuite } from "../../../test/contracts/synthesizer-suite.ts";
import { toneOnsets } from "../../../test/support/tone-onsets.ts";
import type { Voice } from "../../models/synthesizer.ts";
import { tokenAt } from "./connection.ts";
import { createEdgeVoice, type EdgeVoiceOptions } from "./edge.ts";

const never = new AbortController().signal;
const hourMs = 3_600_000;

synthesizerSuite("edge", async () => {
  const emulator = await startEdgeEmulator();
  const { play, active, stop } = emulator;
  return { synthesizer: createEdgeVoice({ endpoint: emulator.url }), play, active, stop };
});

describe("createEdgeVoice", () => {
  let emulator: SpeechEmulator;
  const noon = Date.parse("2026-05-01T12:00:00Z");
  const open = (options: EdgeVoiceOptions = {}) => {
    const voice = createEdgeVoice({ endpoint: emulator.url, nowMs: () => noon, ...options });
    return (text: string, asked: Voice = {}) =>
      Array.fromAsync(voice.synthesize(text, asked, never));
  };

  beforeEach(async () => {
    emulator = await startEdgeEmulator({ nowMs: () => noon });
  });
  afterEach(() => emulator.stop());

  it("says each word once, at its timing", async () => {
    const parts = await open()('AT&T said <no> & "Don\'t go", go.');
    const words = parts.flatMap((part) => part.words ?? []);
    expect(words.map(({ word }) => word)).toEqual(["AT", "T", "said", "no", "Don't", "go", "go"]);
    const onsets = toneOnsets(parts);
    expect(onsets).toHaveLength(words.length);
    // The decoder's filter delays the audio by less than a frame of 24 ms.
    for (const [at, { startSample }] of words.entries()) {
      expect(Math.abs((onsets[at] ?? 0) - startSample / 24_000)).toBeLessThan(0.024);
    }
  });

  it("states the rate of the audio that came, and times words by it", async () => {
    emulator.play({ fault: { kind: "wrong-rate" } });
    const parts = await open()("One two.");
    const words = parts.flatMap((part) => part.words ?? []);
    expect(parts[0]?.sampleRateHz).toBe(16_000);
    expect(words[1]?.startSample).toBe(0.144 * 16_000);
  });

  it("speaks on the prepared connection, and closes one that is not taken", async () => {
    const voice = createEdgeVoice({ endpoint: emulator.url, nowMs: () => noon });
    const aborter = new AbortController();
    await voice.prepare?.(aborter.signal);
    await voice.prepare?.(aborter.signal);
    expect(emulator.connections()).toBe(1);
    // A new connection would take too long now.
    emulator.play({ connectMs: 60_000 });
    expect(toneOnsets(await Array.fromAsync(voice.synthesize("One.", {}, never)))).toHaveLength(1);
    emulator.play({});
    await voice.prepare?.(aborter.signal);
    await expect.poll(() => emulator.connections()).toBe(1);
    aborter.abort();
    await expect.poll(() => emulator.connections()).toBe(0);
  });

  it("keeps at most eight prepared connections, and none after it stops", async () => {
    const voice = createEdgeVoice({ endpoint: emulator.url, nowMs: () => noon });
    const signals = Array.from({ length: 20 }, () => new AbortController().signal);
    await Promise.all(signals.map((signal) => voice.prepare?.(signal)));
    await expect.poll(() => emulator.connections()).toBe(8);
    await voice.stop?.();
    await expect.poll(() => emulator.connections()).toBe(0);
  });

  it("speaks on a new connection if the prepared one has died", async () => {
    const voice = createEdgeVoice({ endpoint: emulator.url, nowMs: () => noon });
    await voice.prepare?.(never);
    const parts = Array.fromAsync(voice.synthesize("One.", {}, never));
    emulator.dropIdle();
    expect(toneOnsets(await parts)).toHaveLength(1);
  });

  it("asks for MP3 and word boundaries", async () => {
    await open()("Oui.", { language: "fr-FR" });
    const [request] = emulator.requests;
    expect(JSON.stringify(request?.config)).toContain("audio-24khz-48kbitrate-mono-mp3");
    expect(readDocument(request?.ssml ?? "")).toEqual({
      text: "Oui.",
      voice: "fr-FR-DeniseNeural",
      language: "fr-FR",
    });
  });

  it("learns the service's clock from a refusal, and keeps it", async () => {
    let handshakes = 0;
    const nowMs = () => {
      handshakes += 1;
      return noon - hourMs;
    };
    const speak = open({ nowMs });
    expect(toneOnsets(await speak("One."))).toHaveLength(1);
    const learning = handshakes;
    expect(toneOnsets(await speak("Two."))).toHaveLength(1);
    expect(handshakes - learning).toBe(1);
  });

  it("does not retry when the clock was right", async () => {
    emulator.play({ fault: { kind: "forbidden" } });
    let handshakes = 0;
    const nowMs = () => {
      handshakes += 1;
      return noon;
    };
    await expect(open({ nowMs })("One.")).rejects.toMatchObject({ kind: "authorization" });
    // Once for the token, once to compare.
    expect(handshakes).toBe(2);
  });

  it("tries a failed connection once more", async () => {
    emulator.play({ fault: { kind: "refuse", handshakes: 1 } });
    expect(toneOnsets(await open()("One."))).toHaveLength(1);
    emulator.play({ fault: { kind: "refuse", handshakes: 2 } });
    const speak = open();
    await expect(speak("Two.")).rejects.toMatchObject({ kind: "connectivity" });
    expect(toneOnsets(await speak("Two."))).toHaveLength(1);
  });

  it("does not reconnect after its timeout, nor after a server error", async () => {
    let connections = 0;
    const silent = createServer(() => {
      connections += 1;
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const endpoint = `http://127.0.0.1:${port}`;
    try {
      const speak = open({ endpoint, connectTimeoutMs: 50 });
      await expect(speak("One.")).rejects.toMatchObject({ kind: "timeout" });
      expect(connections).toBe(1);
    } finally {
      silent.close();
    }
    emulator.play({ fault: { kind: "html-500", handshakes: 1 } });
    await expect(open()("One.")).rejects.toMatchObject({ kind: "server" });
  });

  it("falls back to its default for a voice that the service does not know", async () => {
    expect(toneOnsets(await open()("One.", { name: "en-US-Nobody" }))).toHaveLength(1);
    await expect(open({ voice: "en-US-Nobody" })("One.")).rejects.toMatchObject({
      kind: "authorization",
    });
  });

  it("refuses unpronounceable text, and sends nothing", async () => {
    await expect(open()("…!")).rejects.toMatchObject({ kind: "unsupported" });
    expect(emulator.requests).toEqual([]);
  });

  it("times out on an idle service, and closes the connection", async () => {
    emulator.play({ fault: { kind: "hang" } });
    await expect(open({ idleTimeoutMs: 20 })("One.")).rejects.toMatchObject({ kind: "timeout" });
    await expect.poll(emulator.active).toBe(0);
  });

  it("keeps no connection after a text", async () => {
    await open()("One.");
    await expect.poll(emulator.connections).toBe(0);
  });
});

describe("tokenAt", () => {
  it("is valid for five minutes", () => {
    const at = (time: string) => tokenAt(Date.parse(`2026-05-01T${time}Z`));
    expect(at("12:00:00")).toMatch(/^[\dA-F]{64}$/);
    expect(at("12:04:59.999")).toBe(at("12:00:00"));
    expect(at("12:05:00")).not.toBe(at("12:04:59"));
  });
});
