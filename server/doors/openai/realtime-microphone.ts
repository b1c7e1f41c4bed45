import { createAligner, joinPcm, samplesOf } from "../../core/audio/pcm.ts";
import { createResampler } from "../../core/audio/resample.ts";
import { createSpeechDetector } from "../../core/audio/speech-detector.ts";
import type { SpokenPrompt } from "../../models/language-model.ts";
import { invalidField, OpenaiProblem } from "./errors.ts";

/** How the gateway finds out when the user speaks; null where the client says so, by `commit`. */
export type TurnDetection = {
  /** 0 to 1. */
  readonly threshold: number;
  /** Milliseconds of sound from before the speech that belong to it. */
  readonly prefix_padding_ms: number;
  /** Milliseconds of silence that end it. */
  readonly silence_duration_ms: number;
  /** Whether a response follows by itself. */
  readonly create_response: boolean;
  /** Whether speech cancels the response in progress. */
  readonly interrupt_response: boolean;
} | null;

/** Speech began, or is over. Milliseconds count the sound that was appended. */
export type Speech =
  | { readonly type: "started"; readonly atMs: number }
  | { readonly type: "stopped"; readonly atMs: number; readonly pcm: Int16Array };

/** What a client's microphone sends, until it is said to be a whole. At the rate that models hear. */
export type Microphone = {
  /** Takes base64 of PCM, 24 kHz. Returns what that says of the user's speech. Throws `OpenaiProblem`. */
  append(audio: unknown): readonly Speech[];
  /** Takes out what there is. Throws `OpenaiProblem` if it is less than OpenAI takes. */
  commit(): Int16Array;
  clear(): void;
  /** Samples that are kept. */
  samples(): number;
  /** Listens by these rules from now on. */
  listen(detection: TurnDetection): void;
};

const CLIENT_RATE_HZ = 24_000;
/** The rate of a prompt's sound. */
export const HEARD_RATE_HZ: SpokenPrompt["sampleRateHz"] = 16_000;
const SAMPLES_A_MS = HEARD_RATE_HZ / 1000;
/** What one turn may hold, and OpenAI's own least. */
const MAX_MS = 60_000;
const MIN_MS = 100;
/** What is looked at together: 100 ms, however much comes at once. */
const PIECE_SAMPLES = 1600;
/** Speech is known to have begun up to so much later. */
const ONSET_MS = 200;

/** Sound that is kept, and how much there was in all. */
function createSoundBuffer() {
  let parts: Int16Array[] = [];
  let kept = 0;
  let total = 0;
  const take = (): Int16Array => {
    const pcm = joinPcm(parts);
    parts = [];
    kept = 0;
    return pcm;
  };
  return {
    add(pcm: Int16Array) {
      parts.push(pcm);
      kept += pcm.length;
      total += pcm.length;
    },
    take,
    /** Keeps no more than the latest samples; 1 at least. */
    keepLatest(samples: number) {
      if (kept <= samples) return;
      parts = [take().slice(-samples)];
      kept = samples;
    },
    kept: () => kept,
    total: () => total,
    msOf: (samples: number) => Math.round(samples / SAMPLES_A_MS),
  };
}

/** Opens the microphone of one session. */
export function createMicrophone(): Microphone {
  const align = createAligner(2);
  const resampler = createResampler(CLIENT_RATE_HZ, HEARD_RATE_HZ);
  const sound = createSoundBuffer();
  let ears: Ears | undefined;
  const readParts = function* (audio: unknown) {
    const pcm = resampler.push(samplesOf(align(readAudio(audio))));
    if (!ears && sound.kept() + pcm.length > MAX_MS * SAMPLES_A_MS) throw tooLong();
    for (let at = 0; at < pcm.length; at += PIECE_SAMPLES) {
      yield pcm.slice(at, at + PIECE_SAMPLES);
    }
  };
  const stop = (): Int16Array => {
    ears?.reset();
    return sound.take();
  };
  return {
    append(audio) {
      const speech: Speech[] = [];
      for (const piece of readParts(audio)) {
        sound.add(piece);
        if (ears) speech.push(...ears.hear(piece));
      }
      return speech;
    },
    commit() {
      const ms = Math.floor(sound.kept() / SAMPLES_A_MS);
      if (ms >= MIN_MS) return stop();
      const message = `the buffer has ${ms} ms of sound; at least ${MIN_MS} are needed`;
      throw new OpenaiProblem(400, "input_audio_buffer_commit_empty", message);
    },
    clear: () => void stop(),
    samples: sound.kept,
    listen(detection) {
      ears = detection ? createEars(sound, detection) : undefined;
    },
  };
}

type Ears = ReturnType<typeof createEars>;

/** Tells speech from silence in what is added to the sound, and keeps little of the silence. */
function createEars(
  sound: ReturnType<typeof createSoundBuffer>,
  rules: NonNullable<TurnDetection>,
) {
  const { threshold, silence_duration_ms: silenceMs, prefix_padding_ms: paddingMs } = rules;
  const detector = createSpeechDetector({ threshold, silenceMs });
  const from = sound.total();
  let isSpeech = false;
  const reset = () => {
    isSpeech = false;
    detector.reset();
  };
  const start = (sample: number): Speech => {
    isSpeech = true;
    sound.keepLatest(sound.total() - from - sample + paddingMs * SAMPLES_A_MS);
    return { type: "started", atMs: sound.msOf(sound.total() - sound.kept()) };
  };
  const stop = (): Speech => {
    reset();
    return { type: "stopped", atMs: sound.msOf(sound.total()), pcm: sound.take() };
  };
  return {
    reset,
    hear(pcm: Int16Array): readonly Speech[] {
      const changes = detector.push(pcm);
      const speech = changes.map(({ type, sample }) =>
        type === "started" ? start(sample) : stop(),
      );
      // A noise that has no end is a turn as well: nothing else would ever come of it.
      if (isSpeech && sound.kept() >= MAX_MS * SAMPLES_A_MS) return [...speech, stop()];
      if (!isSpeech) sound.keepLatest((paddingMs + ONSET_MS) * SAMPLES_A_MS);
      return speech;
    },
  };
}

function readAudio(audio: unknown): Uint8Array {
  if (typeof audio === "string" && /^[\w+/-]+={0,2}$/.test(audio)) {
    return Buffer.from(audio, "base64");
  }
  throw invalidField("audio", "must be base64 of 16-bit PCM");
}

function tooLong(): OpenaiProblem {
  const message = `the buffer holds ${MAX_MS / 1000} s of sound at most: commit or clear it`;
  return new OpenaiProblem(400, "input_audio_buffer_full", message, "audio");
}
