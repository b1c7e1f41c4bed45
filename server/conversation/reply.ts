import { pump, readAhead, throwIfAborted } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import type { ProviderError } from "../core/errors.ts";
import { ruleOf } from "../core/outcomes.ts";
import { createLanguageTracker } from "../core/text/language.ts";
import { createSentenceCutter, isSpeakable } from "../core/text/sentences.ts";
import { createSpeakableText } from "../core/text/speakable.ts";
import type { AudioChunk } from "../failover/framer.ts";
import { speakText } from "../failover/speech.ts";
import { generateReply, type TierPart } from "../failover/text.ts";
import type { Tier } from "../failover/tier.ts";
import type { Source, TierListener, TurnTime } from "../failover/tiers.ts";
import type { LanguageModel, Prompt } from "../models/language-model.ts";
import type { Synthesizer, Voice } from "../models/synthesizer.ts";
import { endingOf, withoutBrokenWord } from "./broken-reply.ts";
import type { Continuation } from "./continuation.ts";
import { createChunkChannel, createSpokenReply } from "./spoken-reply.ts";
import { textOnlySegments } from "./text-only.ts";

/** One step of a turn: a piece of the reply's text, or of its voice. Never empty. */
export type TurnChunk = (
  | {
      readonly type: "text";
      readonly text: string;
      /** The tier that wrote it; absent if the user did. */
      readonly source?: Source;
    }
  | AudioChunk
) & {
  /** Its number in a turn that can be resumed, from 1. */
  readonly sequence?: number;
};

/** A sentence and its voice, or all that a model speaks by itself. */
export type Segment = {
  /** A sentence, which precedes its voice. */
  readonly text?: string;
  /** The tier that wrote the sentence, or its beginning; absent if the user did. */
  readonly source?: Source;
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
  /** True if another model is asked when one withholds its reply. */
  readonly failsOverWithheld?: boolean;
};

/** What is asked for. */
export type ReplyRequest = {
  readonly prompt: Prompt;
  /** True if the prompt's text is the reply itself. */
  readonly verbatim: boolean;
  /** True if only the text is wanted: each delta is a segment without sound. */
  readonly textOnly?: boolean;
  readonly voice: Voice;
  /** What another instance said before. */
  readonly continues?: Continuation;
  /** Sentences that were sent, counted by their reader. */
  readonly sent: () => number;
  /** True once no voice is left: then text is made without sound. */
  readonly isMute: () => boolean;
  /** The reply broke off, and no tier can continue it. */
  readonly onPartial: (cause: Error) => void;
  /** Called with what a model has heard of the prompt's sound so far. */
  readonly onHeard?: ((words: string) => void) | undefined;
  /** The turn's time, and how much of it each chain has to begin. */
  readonly textTime?: TurnTime;
  readonly speechTime?: TurnTime;
};

/**
 * A first sentence longer than this many characters is cut at its next clause mark, so that the voice
 * starts while the model still writes.
 */
const FIRST_CLAUSE_AFTER = 40;

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
  const segments = request.textOnly
    ? textOnlySegments(openReply(tiers, request, signal), request, signal)
    : makeSegments(tiers, request, signal);
  return readAhead(segments, SEGMENTS_WAITING, signal);
}

/** A segment of a model that speaks by itself gets its chunks while the next one is being pulled. */
async function* makeSegments(
  tiers: ReplyTiers,
  request: ReplyRequest,
  signal: AbortSignal,
): AsyncGenerator<Segment> {
  const text = createTextSegments(tiers, request, signal);
  const voice = createSpokenReply(tiers.samplesPerChunk);
  yield* text.speakRest();
  let hasBegun = request.continues !== undefined;
  try {
    for await (const parts of openReply(tiers, request, signal)) {
      hasBegun = true;
      for (const { source, part } of parts) {
        if (part.type === "text") {
          await voice.end();
          yield* text.push(part.text, source);
        } else {
          if (!voice.isOpen()) {
            yield* text.flush();
            const channel = createChunkChannel(signal);
            voice.open(channel);
            yield { chunks: channel.batches(SAMPLES_A_BATCH) };
          }
          await voice.push(source, part);
        }
      }
    }
  } catch (error) {
    throwIfAborted(signal);
    await voice.end();
    yield* endEarly(text, request, { error, hasBegun });
    return;
  }
  await voice.end();
  yield* text.flush();
}

async function* endEarly(
  text: TextSegments,
  { prompt, onPartial }: ReplyRequest,
  { error, hasBegun }: { readonly error: unknown; readonly hasBegun: boolean },
): AsyncGenerator<Segment> {
  const { refusal, partial } = endingOf(error, { hasBegun, prompt: prompt.text });
  if (partial) onPartial(partial);
  if (refusal !== undefined) yield* text.push(refusal, undefined);
  yield* refusal === undefined ? text.flushWholeWords() : text.flush();
}

function openReply(
  tiers: ReplyTiers,
  request: ReplyRequest,
  signal: AbortSignal,
): AsyncIterable<readonly TierPart[]> | readonly (readonly TierPart[])[] {
  const { verbatim, prompt, textTime, onHeard, continues } = request;
  if (continues?.isWhole) return [];
  const { said = "" } = continues ?? {};
  const part = { type: "text", text: prompt.text.slice(said.length) } as const;
  if (verbatim) return [[{ source: undefined, part }]];
  const callsNext = ({ kind }: ProviderError) =>
    ruleOf(kind).callsNext || (kind === "withheld" && tiers.failsOverWithheld === true);
  const time = textTime && { time: textTime };
  return generateReply(
    { ...tiers, tiers: tiers.languageModels, callsNext, onHeard, said, ...time },
    prompt,
    signal,
  );
}

/** Text cut into sentences, each spoken by the tiers. */
type TextSegments = {
  /** The sound that is left of a sentence whose text was sent by another instance. */
  speakRest(): Generator<Segment>;
  push(delta: string, source: Source | undefined): AsyncGenerator<Segment>;
  /** What is left of the text. The next text is cut anew. */
  flush(): Generator<Segment>;
  /** What is left of a text that broke off, without the word in which it did. */
  flushWholeWords(): Generator<Segment>;
};

function createTextSegments(
  tiers: ReplyTiers,
  request: ReplyRequest,
  signal: AbortSignal,
): TextSegments {
  const newCutter = () => createSentenceCutter({ firstClauseAfter: FIRST_CLAUSE_AFTER });
  let cutter = newCutter();
  const { language: requested, ...rest } = request.voice;
  const tracker = createLanguageTracker(requested);
  let count = 0;
  let source: Source | undefined;
  /** Letters and marks that were pushed and not cut yet. */
  let waiting = 0;
  const time = request.speechTime && { time: request.speechTime };
  const run = { ...tiers, tiers: tiers.synthesizers, ...time };
  const speakable = createSpeakableText();
  const speak = (text: string): Segment => {
    const spoken = speakable.next(text);
    const language = tracker.languageOf(spoken);
    const voice = { ...rest, ...(language && { language }), queuePosition: count - request.sent() };
    count += 1;
    const segment = { text, ...(source && { source }) };
    if (request.isMute() || !isSpeakable(spoken)) return segment;
    const chunks = createChunkChannel(signal);
    void pump(speakText(run, { text: spoken, voice }, signal), chunks, chunks.pushAll);
    return { ...segment, chunks: chunks.batches(SAMPLES_A_BATCH) };
  };
  const take = () => {
    const rest = cutter.flush();
    cutter = newCutter();
    waiting = 0;
    return rest;
  };
  return {
    *speakRest() {
      const { said = "", rest: missing = "" } = request.continues ?? {};
      // Its language, and whether it stands in what is not spoken, depend on what came before.
      tracker.languageOf(speakable.next(said.slice(0, said.length - missing.length)));
      if (missing === "") return;
      const { text: _, ...sound } = speak(missing);
      count = 0;
      yield sound;
    },
    async *push(delta, from) {
      // A sentence belongs to the tier that began it.
      if (waiting === 0) source = from;
      waiting += lettersOf(delta);
      for await (const sentence of cutter.push(delta)) {
        yield speak(sentence);
        source = from;
        waiting -= lettersOf(sentence);
      }
    },
    *flush() {
      for (const sentence of take()) yield speak(sentence);
    },
    *flushWholeWords() {
      const rest = [...take()];
      const last = withoutBrokenWord(rest.pop() ?? "");
      for (const sentence of rest) yield speak(sentence);
      if (isSpeakable(last)) yield speak(last);
    },
  };
}

const lettersOf = (text: string) => text.replaceAll(/\s/gu, "").length;
