import { describe, expect, it } from "vitest";
import { createPlayback } from "./playback.ts";

const SECOND = 48_000;

/** A playback on a clock of its own, and a way to send a sentence whose words take a second each. */
function setUp() {
  const clock = { ms: 1000 };
  const playback = createPlayback(() => clock.ms);
  const speak = (text: string, { words: isTimed = true, ends = true } = {}) => {
    playback.send({ type: "text", text });
    let sent = 0;
    for (const { 0: word, index } of text.matchAll(/\w+/g)) {
      const timing = { word, textStart: index, startSample: sent, endSample: sent + SECOND };
      playback.send({
        type: "audio",
        pcm: new Int16Array(SECOND),
        synthesizer: "s",
        ...(isTimed && { words: [timing] }),
      });
      sent += SECOND;
    }
    if (ends) playback.endSegment();
  };
  return { clock, playback, speak };
}

describe("createPlayback", () => {
  it("takes sound to play from its arrival on, and cuts at the last whole word", () => {
    const { clock, playback, speak } = setUp();
    speak("One two. ");
    speak("Three, four.");
    expect(playback.heard()).toEqual({ text: "", samples: 0, isAll: false });
    expect(playback.aheadMs()).toBe(4000);
    clock.ms += 1999;
    expect(playback.heard().text).toBe("One");
    clock.ms += 1;
    expect(playback.heard()).toEqual({ text: "One two. ", samples: 2 * SECOND, isAll: false });
    clock.ms += 1500;
    expect(playback.heard().text).toBe("One two. Three,");
    clock.ms += 60_000;
    expect(playback.heard()).toMatchObject({ text: "One two. Three, four.", isAll: true });
    expect(playback.aheadMs()).toBe(0);
  });

  it("knows that a client without sound pauses, and goes on with the next", () => {
    const { clock, playback, speak } = setUp();
    speak("One. ");
    clock.ms += 10_000;
    speak("Two. ");
    expect(playback.aheadMs()).toBe(1000);
    clock.ms += 500;
    expect(playback.heard()).toMatchObject({ text: "One. ", samples: 1.5 * SECOND });
  });

  it("takes the client's last report as it stands", () => {
    const { clock, playback, speak } = setUp();
    speak("One two three four.");
    clock.ms += 3000;
    playback.report(SECOND);
    expect(playback.aheadMs()).toBe(3000);
    clock.ms += 2000;
    expect(playback.heard()).toMatchObject({ text: "One", samples: SECOND });
    playback.report(9 * SECOND);
    expect(playback.heard()).toMatchObject({ samples: 4 * SECOND, isAll: true });
    expect(playback.aheadMs()).toBe(0);
  });

  it("stands still once it has stopped, and still takes a report", () => {
    const { clock, playback, speak } = setUp();
    speak("One two three.");
    clock.ms += 1000;
    playback.stop();
    clock.ms += 9000;
    expect(playback.heard().text).toBe("One");
    expect(playback.aheadMs()).toBe(0);
    playback.report(2 * SECOND);
    expect(playback.heard().text).toBe("One two");
  });

  it("estimates the words of a sentence that has no timings yet", () => {
    const { clock, playback, speak } = setUp();
    speak("Said. ");
    speak("Estimated words follow here.", { words: false, ends: false });
    clock.ms += 2000;
    expect(playback.heard().text).toBe("Said. Estimated words");
  });

  it("takes text without sound as heard with what stands before it", () => {
    const { clock, playback, speak } = setUp();
    speak("One. ");
    playback.send({ type: "text", text: "--- " });
    playback.endSegment();
    speak("Two.");
    clock.ms += 1000;
    expect(playback.heard().text).toBe("One. --- ");
  });

  it("places the words of a model that speaks by itself, whose transcript comes in between", () => {
    const { clock, playback } = setUp();
    const sound = (words: readonly [string, number, number][]) =>
      playback.send({
        type: "audio",
        pcm: new Int16Array(SECOND),
        synthesizer: "live",
        words: words.map(([word, textStart, seconds]) => ({
          word,
          textStart,
          startSample: (seconds - 0.5) * SECOND,
          endSample: seconds * SECOND,
        })),
      });
    playback.send({ type: "text", text: "One two " });
    sound([]);
    playback.send({ type: "text", text: "three." });
    sound([
      ["One", 0, 0.5],
      ["two", 4, 1],
    ]);
    sound([["three", 8, 1.5]]);
    playback.endSegment();
    clock.ms += 1100;
    expect(playback.heard().text).toBe("One two");
  });
});
