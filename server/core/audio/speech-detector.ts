/** How speech is told from the rest of what a microphone hears. */
export type SpeechDetectorOptions = {
  /** How far speech stands out of the noise: 0 (a little) to 1 (a lot). */
  readonly threshold: number;
  /** Milliseconds of silence that end it. */
  readonly silenceMs: number;
};

/** Speech began or ended at this sample, counted from the detector's start. */
export type SpeechChange = { readonly type: "started" | "stopped"; readonly sample: number };

/** Finds speech in mono 16-bit PCM of 16 kHz. */
export type SpeechDetector = {
  /** Takes the next samples. Returns what changed in them, in order. */
  push(pcm: Int16Array): readonly SpeechChange[];
  /** Takes what follows for silence until it stands out again. */
  reset(): void;
};

const FRAME_SAMPLES = 320;
const FRAME_MS = 20;
/** So many of the latest frames stand out when speech begins: a click is shorter. */
const ONSET_FRAMES = 4;
const ONSET_WINDOW = 6;
/** The level of the noise is taken to lie in here, in decibels of full scale. */
const QUIETEST_DB = -75;
const LOUDEST_DB = -35;
/** No speech is so quiet. */
const AUDIBLE_DB = -55;
/** Speech goes on at a level at which it would not begin. */
const HYSTERESIS_DB = 4;
/** What is never quieter for so long is noise: speech has pauses. 2 s. */
const NOISE_FRAMES = 100;

/**
 * Creates a detector. It goes by loudness over the noise of the room, which it follows: it knows a voice
 * from a fan, not from music.
 */
export function createSpeechDetector(options: SpeechDetectorOptions): SpeechDetector {
  const marginDb = 6 + 12 * options.threshold;
  const silentFrames = Math.max(1, Math.round(options.silenceMs / FRAME_MS));
  let held = new Int16Array(0);
  let frames = 0;
  let noiseDb: number | undefined;
  let quietestDb = Number.POSITIVE_INFINITY;
  let isSpeech = false;
  let recent: boolean[] = [];
  let quiet = 0;

  const standsOut = (levelDb: number): boolean => {
    let followedDb = noiseDb ?? levelDb;
    if (levelDb < followedDb) followedDb += (levelDb - followedDb) / 4;
    quietestDb = Math.min(quietestDb, levelDb);
    if (frames % NOISE_FRAMES === 0) {
      followedDb = Math.max(followedDb, quietestDb);
      quietestDb = Number.POSITIVE_INFINITY;
    }
    noiseDb = Math.max(QUIETEST_DB, Math.min(followedDb, LOUDEST_DB));
    return levelDb > Math.max(AUDIBLE_DB, noiseDb + marginDb - (isSpeech ? HYSTERESIS_DB : 0));
  };
  const begin = (loud: boolean): SpeechChange | undefined => {
    recent = [...recent, loud].slice(-ONSET_WINDOW);
    if (recent.filter(Boolean).length < ONSET_FRAMES) return undefined;
    const first = frames - recent.length + recent.indexOf(true);
    isSpeech = true;
    recent = [];
    quiet = 0;
    return { type: "started", sample: first * FRAME_SAMPLES };
  };
  const goOn = (loud: boolean): SpeechChange | undefined => {
    quiet = loud ? 0 : quiet + 1;
    if (quiet < silentFrames) return undefined;
    isSpeech = false;
    return { type: "stopped", sample: frames * FRAME_SAMPLES };
  };
  return {
    push(pcm) {
      const samples = new Int16Array(held.length + pcm.length);
      samples.set(held);
      samples.set(pcm, held.length);
      const changes: SpeechChange[] = [];
      let at = 0;
      for (; at + FRAME_SAMPLES <= samples.length; at += FRAME_SAMPLES) {
        frames += 1;
        const loud = standsOut(levelOf(samples.subarray(at, at + FRAME_SAMPLES)));
        const change = isSpeech ? goOn(loud) : begin(loud);
        if (change) changes.push(change);
      }
      held = samples.slice(at);
      return changes;
    },
    reset() {
      isSpeech = false;
      recent = [];
    },
  };
}

/** Decibels of full scale, without the microphone's constant part. */
function levelOf(frame: Int16Array): number {
  let sum = 0;
  let squares = 0;
  for (const sample of frame) {
    sum += sample;
    squares += sample * sample;
  }
  const variance = squares / frame.length - (sum / frame.length) ** 2;
  return 10 * Math.log10(Math.max(variance, 1) / 32_768 ** 2);
}
