import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { ReplyEvent } from "./gateway.ts";
import { createTurn, runTurn, type TurnEvents } from "./turn.ts";
import type { Playing } from "./voice.ts";
import type { WordTiming } from "./words.ts";

function audio(samples: number, words: readonly WordTiming[] = []): ReplyEvent {
  return { type: "audio", pcm: new Int16Array(samples), words };
}

async function* reply(events: readonly ReplyEvent[], error?: unknown): AsyncGenerator<ReplyEvent> {
  yield* events;
  if (error) throw error;
}

function voice(): Playing & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    write: (pcm) => calls.push(`write ${pcm.length}`),
    end: () => calls.push("end"),
    over: Promise.resolve(),
    active: true,
    seek: async () => undefined,
    pause: () => undefined,
    resume: async () => undefined,
    paused: false,
    heardSamples: () => 0,
    playedSamples: 0,
    underruns: 0,
    buffering: false,
    startedAtMs: undefined,
  };
}

function on(
  openVoice: TurnEvents["openVoice"],
  onSource: TurnEvents["onSource"] = () => undefined,
) {
  return { openVoice, onSource };
}

const noVoice = on(async () => undefined);

describe("runTurn", () => {
  it("hands all audio to one voice, in order, and flags its end", async () => {
    const playing = voice();
    let opened = 0;
    const openVoice = async () => {
      opened++;
      return playing;
    };
    const events = reply([{ type: "text", text: "Oh, hi." }, audio(10), audio(20)]);
    const failure = await runTurn(createTurn(), events, on(openVoice));
    expect(failure).toBeUndefined();
    expect(opened).toBe(1);
    expect(playing.calls).toEqual(["write 10", "write 20", "end"]);
  });

  it("counts text as UTF-8 and audio as PCM", async () => {
    const turn = createTurn();
    await runTurn(turn, reply([{ type: "text", text: "да" }, audio(10)]), noVoice);
    expect(turn).toMatchObject({ text: "да", bytes: 24 });
    expect(turn.ttfaMs).toBeGreaterThanOrEqual(turn.ttftMs ?? Number.POSITIVE_INFINITY);
  });

  it("hands the words' timings to the captions", async () => {
    const turn = createTurn();
    const told = [{ word: "hi", startSample: 7, endSample: 9 }];
    const events = reply([{ type: "text", text: "Oh, hi." }, audio(10, told)]);
    await runTurn(
      turn,
      events,
      on(async () => voice()),
    );
    expect(turn.captions.starts()).toEqual([0, 7]);
  });
});

describe("runTurn, to its end", () => {
  it("explains an error in the stream's own words, and lets the voice end", async () => {
    const playing = voice();
    const events = reply(
      [audio(10), { type: "trouble", message: "the voice broke" }],
      new ConnectError("", Code.Unavailable),
    );
    const failure = await runTurn(
      createTurn(),
      events,
      on(async () => playing),
    );
    expect(failure?.detail).toContain("the voice broke");
    expect(playing.calls).toEqual(["write 10", "end"]);
  });

  it("lights all words where there is no sound", async () => {
    const turn = createTurn();
    await runTurn(turn, reply([{ type: "text", text: "Just text." }, audio(10)]), noVoice);
    expect(turn.captions.heard(Number.POSITIVE_INFINITY).words).toBe(2);
  });

  it("tells of each source, and who came before it in the turn", async () => {
    const told: unknown[] = [];
    const source = (tier: string, from = "") =>
      ({ type: "source", kind: "speech", tier, from, reason: "" }) as const;
    const events = reply([source("azure"), audio(10), source("edge", "azure"), audio(10)]);
    await runTurn(
      createTurn(),
      events,
      on(noVoice.openVoice, ({ tier, from }, before) => told.push([tier, from, before])),
    );
    expect(told).toEqual([
      ["azure", "", undefined],
      ["edge", "azure", "azure"],
    ]);
  });

  it("keeps all sound in the recording, and says what was partial", async () => {
    const turn = createTurn();
    const end = { type: "end", message: "done", partial: true } as const;
    await runTurn(turn, reply([audio(10), audio(20), end]), noVoice);
    expect(turn.recording.samples).toBe(30);
    expect(turn.partial).toBe(true);
  });
});
