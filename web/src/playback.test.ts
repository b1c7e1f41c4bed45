import { array, assert, integer, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { Playback } from "./playback.ts";

const limits = { preRollsSamples: [1000, 3000, 9000], fadeSamples: 384 };
const loud = 16_384;

function pcm(samples: number, value = loud): Int16Array {
  return new Int16Array(samples).fill(value);
}

function render(playback: Playback, quanta: number): number[] {
  const heard: number[] = [];
  for (let quantum = 0; quantum < quanta; quantum++) {
    const out = new Float32Array(128);
    playback.render(out);
    heard.push(...out);
  }
  return heard;
}

function largestStep(heard: readonly number[]): number {
  return heard.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (heard[at - 1] ?? value))),
    0,
  );
}

function playing(samples: number): Playback {
  const playback = new Playback(limits);
  playback.open();
  playback.write(pcm(samples));
  render(playback, 2);
  return playback;
}

describe("Playback", () => {
  it("waits for the pre-roll before it plays", () => {
    const playback = new Playback(limits);
    playback.open();
    playback.write(pcm(999));
    expect(render(playback, 4).every((value) => value === 0)).toBe(true);
    playback.write(pcm(1));
    expect(render(playback, 1).every((value) => value > 0)).toBe(true);
  });

  it("plays less than the pre-roll once the end is flagged", () => {
    const playback = new Playback(limits);
    playback.open();
    playback.write(pcm(10));
    playback.end();
    render(playback, 2);
    expect(playback).toMatchObject({ playedSamples: 10, underruns: 0, drained: true });
  });

  it("plays every sample once, in order, when audio is always there", () => {
    assert(
      property(array(integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 12 }), (sizes) => {
        const playback = new Playback(limits);
        playback.open();
        let next = 1;
        for (const size of sizes) playback.write(Int16Array.from({ length: size }, () => next++));
        playback.end();
        const heard = render(playback, Math.ceil(next / 128) + 1);
        const samples = heard.slice(0, next - 1).map((value) => value * 32768);
        expect(samples).toEqual(Array.from({ length: next - 1 }, (_, index) => index + 1));
        expect(playback).toMatchObject({ playedSamples: next - 1, underruns: 0, drained: true });
      }),
    );
  });

  it("counts one underrun when it runs dry before the end, and none after", () => {
    const playback = playing(1000);
    render(playback, 10);
    expect(playback).toMatchObject({ playedSamples: 1000, underruns: 1, drained: false });
    playback.write(pcm(1000));
    playback.end();
    render(playback, 10);
    expect(playback).toMatchObject({ playedSamples: 2000, underruns: 1, drained: true });
  });

  it("neither breaks off nor comes back with a click when it runs dry", () => {
    const playback = playing(1000);
    const before = render(playback, 12);
    playback.write(pcm(3000));
    expect(largestStep([...before, ...render(playback, 8)])).toBeLessThan(0.01);
  });
});

describe("Playback, on a line that is too slow", () => {
  const silent = (playback: Playback) => render(playback, 1).every((value) => value === 0);

  it("waits for more each time it runs dry, and says that it waits", () => {
    const playback = playing(1000);
    for (const preRoll of [3000, 9000, 9000]) {
      render(playback, 80);
      expect(playback.buffering).toBe(true);
      playback.write(pcm(preRoll - 1));
      expect(silent(playback)).toBe(true);
      playback.write(pcm(1));
      expect(silent(playback)).toBe(false);
      expect(playback.buffering).toBe(false);
    }
    expect(playback.underruns).toBe(3);
  });

  it("starts the next turn as carefully, and the one after a good turn less so", () => {
    const playback = playing(1000);
    render(playback, 80);
    const startsAt = () => {
      playback.stop();
      render(playback, 4);
      playback.open();
      let written = 0;
      while (silent(playback)) {
        playback.write(pcm(1000));
        written += 1000;
      }
      return written;
    };
    expect(startsAt()).toBe(3000);
    expect(startsAt()).toBe(1000);
  });

  it("does not buffer before it has begun, nor after the end", () => {
    const playback = new Playback(limits);
    playback.open();
    expect(playback.buffering).toBe(false);
    playback.write(pcm(1000));
    playback.end();
    render(playback, 20);
    expect(playback.buffering).toBe(false);
  });
});

describe("Playback.stop", () => {
  it("dies away within the fade when it is stopped, without a click", () => {
    const playback = playing(48_000);
    playback.stop();
    expect(playback.fading).toBe(true);
    const heard = render(playback, 4);
    expect(largestStep([0.5, ...heard])).toBeLessThan(0.01);
    expect(heard.slice(384).every((value) => value === 0)).toBe(true);
    expect(playback.fading).toBe(false);
  });

  it("is silent at once when it is stopped before it played", () => {
    const playback = new Playback(limits);
    playback.open();
    playback.write(pcm(500));
    playback.stop();
    expect(playback.fading).toBe(false);
    expect(render(playback, 4).every((value) => value === 0)).toBe(true);
  });

  it("plays the next turn while the last one dies away", () => {
    const playback = playing(48_000);
    playback.open();
    playback.write(pcm(1000, -loud));
    const heard = render(playback, 4);
    expect(heard[127]).toBeCloseTo(0.5 * (1 - 128 / 384) - 0.5, 2);
    expect(playback.playedSamples).toBe(512);
  });

  it("throws away what the stopped turn had waiting", () => {
    const playback = playing(48_000);
    playback.open();
    playback.end();
    render(playback, 4);
    expect(playback).toMatchObject({ playedSamples: 0, drained: true });
  });
});
