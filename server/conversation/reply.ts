import { type Channel, createChannel, pump, readAhead, throwIfAborted } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { createLanguageTracker } from "../core/text/language.ts";
import { createSentenceCutter, isSpeakable } from "../core/text/sentences.ts";
import { createSpeakableText } from "../core/text/speakable.ts";
import { type AudioChunk, createFramer, speakText } from "../failover/speech.ts";
import type { Tier } from "../failover/tier.ts";
import { runTiers, type TierListener } from "../failover/tiers.ts";
import { spreadWords, wordsOf } from "../failover/words.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import type { Synthesizer, Voice, WordTiming } from "../models/synthesizer.ts";

/** One step of a turn: a piece of the reply's text, or of its voice. Never empty. */
export type TurnChunk = { readonly type: "text"; readonly text: string } | AudioChunk;

/** A sentence and its voice, or all that a model speaks by itself. */
export type Segment = {
  /** A sentence, which precedes its voice. */
  readonly text?: string;
  /** Chunks in batches; words count from the segment's start. */
  readonly chunks?: AsyncIterable<readonly TurnChunk[]>;
};

/** The tiers of a reply. */
export type ReplyTiers = TierListener & {
  /** Best first. */
  readonly languageModels: readonly Tier<LanguageModel>[];
  /** Best first. */
  readonly synthesizers: readonly Tier<Synthesizer>[];
  /** Samples of a chunk of sound, at 48 kHz. Only the last chunk of a segment is shorter. */
  readonly samplesPerChunk: number;
};

/** What is asked for. */
export type ReplyRequest = {
  readonly prompt: Prompt;
  /** True if the prompt's text is the reply itself. */
  readonly verbatim: boolean;
  readonly voice: Voice;
  /** Sentences that were sent, counted by their reader. */
  readonly sent: () => number;
};

/**
 * A first sentence longer than this many characters is cut at its next clause mark, so that the voice
 * starts while the model still writes.
 */
const FIRST_CLAUSE_AFTER = 40;

/** Sound that may wait for the client, in samples: 5 s for each segment, and one part of the voice. */
const SAMPLES_WAITING = 5 * outputRateHz;

/** Sound that travels as one batch, in samples: 1 s, or one chunk if that is longer. */
const SAMPLES_A_BATCH = outputRateHz;

/**
 * One sentence waits while the next is being made: two are ahead of the one being sent. More would be
 * paid for in vain whenever the user barges in; fewer would leave gaps.
 */
const SEGMENTS_WAITING = 1;

/**
 * The segments of a reply, in order. They are made ahead of their reader, and each segment's voice ahead
 * of it too. If the language models fail, what they said comes before the error.
 */
export function replySegments(
  tiers: ReplyTiers,
  request: ReplyRequest,
  signal: AbortSignal,
): AsyncIterable<Segment> {
  return readAhead(makeSegments(tiers, request, signal), SEGMENTS_WAITING, signal);
}

/** A segment of a model that speaks by itself gets its chunks while the next one is being pulled. */
async function* makeSegments(
  tiers: ReplyTiers,
  request: ReplyRequest,
  signal: AbortSignal,
): AsyncGenerator<Segment> {
  const text = createTextSegments(tiers, request, signal);
  let voice: SpokenReply | undefined;
  try {
    for await (const parts of openReply(tiers, request, signal)) {
      for (const { tier, part } of parts) {
        if (part.type === "text") {
          await voice?.end();
          voice = undefined;
          yield* text.push(part.text);
        } else {
          if (!voice) {
            yield* text.flush();
            voice = openSpokenReply(tiers.samplesPerChunk, signal);
            yield { chunks: voice.chunks };
          }
          await voice.push(tier, part);
        }
      }
    }
  } catch (error) {
    throwIfAborted(signal);
    await voice?.end();
    yield* text.flush();
    throw error;
  }
  await voice?.end();
  yield* text.flush();
}

function openReply(tiers: ReplyTiers, { verbatim, prompt }: ReplyRequest, signal: AbortSignal) {
  if (verbatim) return [[{ tier: "", part: { type: "text", text: prompt.text } as const }]];
  return generateReply({ ...tiers, tiers: tiers.languageModels }, prompt, signal);
}

/** A part of a reply, and the tier that made it. */
type TierPart = { readonly tier: string; readonly part: ReplyPart };

/**
 * One reply by the tiers. If a language model fails midway, the next gets what was said as its prefix
 * and continues from there.
 */
export function generateReply(
  chain: TierListener & { readonly tiers: readonly Tier<LanguageModel>[] },
  prompt: Prompt,
  signal: AbortSignal,
): AsyncGenerator<readonly TierPart[]> {
  let said = "";
  const open = (languageModel: LanguageModel, callSignal: AbortSignal) => {
    let hasBegun = false;
    return {
      parts: languageModel.generate(said === "" ? prompt : { ...prompt, prefix: said }, callSignal),
      push(part: ReplyPart) {
        hasBegun = true;
        if (part.type !== "audio") said += part.text;
        return [{ tier: languageModel.name, part }];
      },
      end: () => [],
      fail: () => [],
      hasBegun: () => hasBegun,
    };
  };
  return runTiers<LanguageModel, ReplyPart, TierPart>({ ...chain, kind: "text", open }, signal);
}

/** Cuts text into sentences, and has the tiers speak each. */
function createTextSegments(tiers: ReplyTiers, request: ReplyRequest, signal: AbortSignal) {
  const newCutter = () => createSentenceCutter({ firstClauseAfter: FIRST_CLAUSE_AFTER });
  let cutter = newCutter();
  const { language: requested, ...rest } = request.voice;
  const tracker = createLanguageTracker(requested);
  let count = 0;
  const speakable = createSpeakableText();
  const speak = (text: string): Segment => {
    const spoken = speakable.next(text);
    const language = tracker.languageOf(spoken);
    const voice = { ...rest, ...(language && { language }), queuePosition: count - request.sent() };
    count += 1;
    if (!isSpeakable(spoken)) return { text };
    const run = { ...tiers, tiers: tiers.synthesizers };
    const chunks = createChunkChannel(signal);
    void pump(speakText(run, { text: spoken, voice }, signal), chunks, chunks.pushAll);
    return { text, chunks: chunks.batches(SAMPLES_A_BATCH) };
  };
  return {
    async *push(delta: string): AsyncGenerator<Segment> {
      for await (const sentence of cutter.push(delta)) yield speak(sentence);
    },
    /** What is left of the text. The next text is cut anew. */
    *flush(): Generator<Segment> {
      const rest = cutter.flush();
      cutter = newCutter();
      for (const sentence of rest) yield speak(sentence);
    },
  };
}

/** Text counts too, so that it is bounded: a character as a third of a millisecond. */
function createChunkChannel(signal: AbortSignal): Channel<TurnChunk> {
  return createChannel(SAMPLES_WAITING, signal, (chunk) =>
    chunk.type === "audio" ? chunk.pcm.length : chunk.text.length * 16,
  );
}

/** The voice of a model that speaks by itself: its sound, and its transcript as text. */
type SpokenReply = {
  readonly chunks: AsyncIterable<readonly TurnChunk[]>;
  /** Waits while too much sound waits for the client. */
  push(tier: string, part: Exclude<ReplyPart, { type: "text" }>): Promise<unknown>;
  /** Ends it; what is left becomes the last chunk. */
  end(): Promise<unknown>;
};

function openSpokenReply(samplesPerChunk: number, signal: AbortSignal): SpokenReply {
  const channel = createChunkChannel(signal);
  const framer = createFramer(samplesPerChunk, 1);
  const transcript = createTranscriptWords();
  return {
    chunks: channel.batches(SAMPLES_A_BATCH),
    push(tier, part) {
      if (part.type === "audio") return channel.pushAll(framer.push(tier, part));
      framer.addWords(transcript.write(part.text, framer.samples()));
      return channel.pushAll(part.text === "" ? [] : [{ type: "text", text: part.text }]);
    },
    async end() {
      const rest = framer.endVoice();
      framer.addWords(transcript.end(framer.samples()));
      await channel.pushAll([...rest, ...framer.flush()]);
      channel.close();
    },
  };
}

/** Estimates when the words of a transcript are heard. Words and samples count from its start. */
export type TranscriptWords = {
  /** Takes a delta that came after so many samples. Returns the words that can be placed now. */
  write(delta: string, samples: number): readonly WordTiming[];
  /** The sound has ended. Returns the remaining words, if there is sound for them. */
  end(samples: number): readonly WordTiming[];
};

/**
 * Estimates by how the deltas of a transcript come in between its sound. A delta comes with its sound
 * or before it, so its words are spread over the sound until the next delta.
 */
export function createTranscriptWords(): TranscriptWords {
  /** Text whose words are not placed yet, and where it begins. */
  let text = "";
  let textStart = 0;
  /** Sound up to here has its words. */
  let placedUntil = 0;

  const place = (next: string, samples: number): readonly WordTiming[] => {
    if (samples <= placedUntil) return [];
    // A word that continues in the next delta belongs to that.
    const words = wordsOf(text + next).filter(
      (each) => each.textStart + each.word.length <= text.length,
    );
    const last = words.at(-1);
    if (!last) return [];
    const begin = textStart;
    const timings = spreadWords(words, placedUntil, samples);
    const length = last.textStart + last.word.length;
    text = text.slice(length);
    textStart += length;
    placedUntil = samples;
    return timings.map((timing) => ({ ...timing, textStart: timing.textStart + begin }));
  };
  return {
    write(delta, samples) {
      const words = place(delta, samples);
      text += delta;
      return words;
    },
    end: (samples) => place("", samples),
  };
}
