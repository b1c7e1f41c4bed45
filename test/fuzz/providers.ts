import { abortable, throwIfAborted } from "../../server/core/async.ts";
import { joinPcm } from "../../server/core/audio/pcm.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { SpeechPart, Synthesizer, WordTiming } from "../../server/models/synthesizer.ts";
import type { Fault, ModelPlan, VoicePlan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Reply } from "./texts.ts";
import { soundOf } from "./tones.ts";

const rateHz = 48_000;

/** Fails as planned; a `cut` returns. */
async function fail({ kind }: Fault, name: string, signal: AbortSignal): Promise<void> {
  if (kind === "hang") await abortable(new Promise<never>(() => undefined), signal);
  if (kind !== "cut" && kind !== "hang") throw new ProviderError(name, kind, "a planned fault");
}

/** A language tier that continues any prefix of the reply. */
export function createFuzzModel(plan: ModelPlan, reply: Reply, name: string): LanguageModel {
  return {
    name,
    async *generate({ prefix = "" }, signal) {
      if (!reply.text.startsWith(prefix)) throw new Error("a prefix that was never said");
      const rest = reply.text.slice(prefix.length);
      const until = plan.fault ? Math.floor(rest.length * plan.fault.after) : rest.length;
      for (let at = 0; at < until; at += plan.deltaLength) {
        throwIfAborted(signal);
        yield { type: "text", text: rest.slice(at, Math.min(at + plan.deltaLength, until)) };
      }
      if (plan.fault) await fail(plan.fault, name, signal);
    },
  };
}

/** A speech tier, and what came of its calls. */
export type FuzzVoice = Synthesizer & {
  /** Calls that ended early after they had made sound. */
  readonly brokeOff: () => number;
};

/** A speech tier that speaks each unit as a tone. */
export function createFuzzVoice(
  plan: VoicePlan,
  reply: Reply,
  { name, random }: { readonly name: string; readonly random: Random },
): FuzzVoice {
  let calls = 0;
  let brokeOff = 0;
  return {
    name,
    hasWordTimings: plan.timings !== "absent",
    brokeOff: () => brokeOff,
    async *synthesize(text, _voice, signal) {
      const fault = plan.faults[calls];
      calls += 1;
      const { pcm, words } = speak(text, reply, plan.pace);
      const until = fault ? Math.floor(pcm.length * fault.after) : pcm.length;
      for (const part of partsOf({ pcm, words, until }, plan, random)) {
        throwIfAborted(signal);
        yield part;
      }
      if (!fault) return;
      if (until > 0) brokeOff += 1;
      await fail(fault, name, signal);
    },
  };
}

type Speech = { readonly pcm: Int16Array; readonly words: readonly WordTiming[] };

/** The units of a text, each at its place, as sound. */
function speak(text: string, { units, secondsOf }: Reply, pace: number): Speech {
  const sounds: Int16Array[] = [];
  const words: WordTiming[] = [];
  let samples = 0;
  const found = units
    .map((unit, index) => ({ unit, index, textStart: text.indexOf(unit) }))
    .filter(({ textStart }) => textStart >= 0)
    .sort((one, other) => one.textStart - other.textStart);
  for (const { unit, index, textStart } of found) {
    const sound = soundOf(index, secondsOf(unit) / pace);
    words.push({
      word: unit,
      textStart,
      startSample: samples,
      endSample: samples + sound.length,
    });
    samples += sound.length;
    sounds.push(sound);
  }
  return { pcm: joinPcm(sounds), words };
}

/** The sound up to a place, in parts of up to 0.3 s, with timings as the voice reports them. */
function* partsOf(
  { pcm, words, until }: Speech & { readonly until: number },
  { timings }: VoicePlan,
  random: Random,
): Generator<SpeechPart> {
  const waiting = timings === "absent" || timings === "missing" ? [] : [...words];
  for (let at = 0; at < until; ) {
    const next = Math.min(at + random.between(480, rateHz * 0.3), until);
    const due = waiting.filter(({ startSample }) => startSample < dueUntil(timings, next, random));
    waiting.splice(0, due.length);
    const told = timings === "shuffled" ? random.shuffle(due) : due;
    yield {
      pcm: pcm.slice(at, next),
      sampleRateHz: rateHz,
      ...(told.length > 0 && { words: told }),
    };
    at = next;
  }
}

/** Words that begin before this sample are told. */
function dueUntil(timings: VoicePlan["timings"], samples: number, random: Random): number {
  switch (timings) {
    case "late":
      return samples - random.between(rateHz * 0.1, rateHz * 0.6);
    case "shuffled":
      return samples + random.between(0, rateHz);
    default:
      return samples;
  }
}
