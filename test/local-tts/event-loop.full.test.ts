import { setImmediate } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { createLocalVoice, createLocalWorkers } from "../../server/local-tts/dittli/dittli.ts";

const workerPool = createLocalWorkers("data/cache");
const voice = createLocalVoice({ transliterate: true, workerPool });
afterAll(async () => voice.stop?.());

const speak = (text: string) =>
  Array.fromAsync(voice.synthesize(text, {}, new AbortController().signal));

const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

describe("createLocalVoice", () => {
  it("keeps the gateway's event loop free while it speaks", async () => {
    await speak("Ready.");
    const invented = "Blorfing vexadune, the trobbled snarvix.";
    const letters = [..."bcdfghklmnprstvwyz"];
    let isOver = false;
    const speaking = Promise.all(letters.map((letter) => speak(invented.replaceAll("v", letter))));
    speaking.finally(() => {
      isOver = true;
    });
    // Its own CPU time: a machine that has other work stalls the clock, but not this.
    let busiestMs = 0;
    for (let before = cpuMs(), now = before; !isOver; before = now) {
      await setImmediate();
      now = cpuMs();
      busiestMs = Math.max(busiestMs, now - before);
    }
    expect((await speaking).every((parts) => parts.length > 0)).toBe(true);
    // 20 ms are promised; the rest is for the garbage collector.
    expect(busiestMs).toBeLessThan(60);
  });
});
