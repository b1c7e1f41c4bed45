import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startAzureEmulator } from "../../../emulators/azure.ts";
import { readDocument } from "../../../emulators/microsoft-speech-messages.ts";
import type { SpeechEmulator } from "../../../emulators/microsoft-speech-server.ts";
import { synthesizerSuite } from "../../../test/contracts/synthesizer-suite.ts";
import { toneOnsets } from "../../../test/support/tone-onsets.ts";
import type { Synthesizer, Voice } from "../../models/synthesizer.ts";
import { type AzureVoiceOptions, createAzureVoice } from "./azure.ts";

const apiKey = "azure-key-that-nobody-may-see";
const never = new AbortController().signal;

synthesizerSuite(
  "azure",
  async () => {
    const emulator = await startAzureEmulator();
    const { play, active, stop } = emulator;
    const synthesizer = createAzureVoice({ apiKey, host: emulator.url });
    return { synthesizer, play, active, stop };
  },
  // Raw audio does not state its rate.
  { secrets: [apiKey], without: ["wrong-rate"] },
);

describe("createAzureVoice", () => {
  let emulator: SpeechEmulator;
  let synthesizer: Synthesizer;
  const open = (options: Partial<AzureVoiceOptions> = {}) => {
    synthesizer = createAzureVoice({ apiKey, host: emulator.url, ...options });
  };
  const speak = (text: string, voice: Voice = {}) =>
    Array.fromAsync(synthesizer.synthesize(text, voice, never));
  const asked = () => emulator.requests.map(({ ssml }) => readDocument(ssml));

  beforeEach(async () => {
    emulator = await startAzureEmulator();
    open();
  });
  afterEach(async () => {
    await synthesizer.stop?.();
    await emulator.stop();
  });

  it("says each word once, at its timing", async () => {
    const parts = await speak('AT&T said <no> & "Don\'t go", go.');
    const words = parts.flatMap((part) => part.words ?? []);
    expect(words.map(({ word }) => word)).toEqual(["AT", "T", "said", "no", "Don't", "go", "go"]);
    expect(toneOnsets(parts)).toEqual(words.map(({ startSample }) => startSample / 48_000));
  });

  it("keeps samples whole when audio is split anywhere", async () => {
    emulator.play({ fault: { kind: "drip" } });
    const dripped = await speak("One two.");
    emulator.play({});
    const whole = await speak("One two.");
    const samples = (parts: typeof whole) => parts.flatMap(({ pcm }) => Array.from(pcm));
    expect(samples(dripped)).toEqual(samples(whole));
  });

  it("asks for raw 48 kHz audio and word boundaries, with the key in a header only", async () => {
    await speak("Yes.");
    const [request] = emulator.requests;
    expect(request?.headers["ocp-apim-subscription-key"]).toBe(apiKey);
    expect(request?.address).toBe("/tts/cognitiveservices/websocket/v1");
    expect(request?.context).toMatchObject({
      synthesis: {
        audio: {
          outputFormat: "raw-48khz-16bit-mono-pcm",
          metadataOptions: { wordBoundaryEnabled: "true" },
        },
      },
    });
  });

  it("asks for the voice and language in the settings or the request", async () => {
    open({ voice: "de-DE-KatjaNeural" });
    await speak("Ja.");
    await speak("Да.", { language: "ru-RU" });
    expect(asked()).toEqual([
      { text: "Ja.", voice: "de-DE-KatjaNeural", language: "de-DE" },
      { text: "Да.", voice: "ru-RU-SvetlanaNeural", language: "ru-RU" },
    ]);
  });

  it("falls back to its default for a voice that the service does not know, and remembers", async () => {
    const voice = { name: "en-US-Nobody" };
    for (const text of ["One.", "Two."])
      expect(toneOnsets(await speak(text, voice))).toHaveLength(1);
    expect(asked().map((request) => request.voice)).toEqual([
      "en-US-Nobody",
      "en-US-AriaNeural",
      "en-US-AriaNeural",
    ]);
  });

  it("treats an unknown default voice as a wrong setting", async () => {
    open({ voice: "en-US-Nobody" });
    await expect(speak("Yes.")).rejects.toMatchObject({
      kind: "authorization",
      misconfigured: true,
    });
  });

  it("refuses unpronounceable text, and sends nothing", async () => {
    await expect(speak("\u0000 -!")).rejects.toMatchObject({ kind: "unsupported" });
    expect(emulator.requests).toEqual([]);
  });

  it("reuses its connections", async () => {
    for (let at = 0; at < 10; at++) await speak("Yes.");
    expect(new Set(emulator.requests.map(({ headers }) => headers["x-connectionid"])).size).toBe(1);
    expect(emulator.connections()).toBeLessThanOrEqual(3);
  });

  it("speaks on though the service has dropped its idle connections", async () => {
    await speak("One.");
    await expect.poll(emulator.connections).toBe(3);
    emulator.dropIdle();
    expect(toneOnsets(await speak("Two three."))).toHaveLength(2);
  });

  it("closes its warm connections when it stops", async () => {
    await synthesizer.start?.(never);
    await expect.poll(emulator.connections).toBe(2);
    await synthesizer.stop?.();
    await expect.poll(emulator.connections).toBe(0);
  });

  it("times out on an idle service, and closes the connection", async () => {
    open({ idleTimeoutMs: 20 });
    emulator.play({ fault: { kind: "hang", afterParts: 1 } });
    await expect(speak("One two.")).rejects.toMatchObject({ kind: "timeout" });
    await expect.poll(emulator.active).toBe(0);
  });

  it.each(["", "<html>"])("fails when a server answers %j to the handshake", async (answer) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => undefined).once("close", () => sockets.delete(socket)));
      socket.resume();
      if (answer) socket.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as { port: number };
    open({ host: `ws://127.0.0.1:${address.port}`, connectTimeoutMs: 20, warmConnections: 0 });
    const fault = answer ? /protocol|connectivity|server/ : /timeout/;
    await expect(speak("Yes.")).rejects.toMatchObject({ kind: expect.stringMatching(fault) });
    await expect.poll(() => sockets.size).toBe(0);
    server.close();
  });
});
