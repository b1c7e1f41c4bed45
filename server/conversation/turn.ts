import { onAbort } from "../core/async/abort.ts";
import { readAhead } from "../core/async/channel.ts";
import { isSpeakable, sentences } from "../core/text/sentences.ts";
import type { Prompt, PromptContext, ReplyPart } from "../models/language-model.ts";
import type { Voice, WordTiming } from "../models/synthesizer.ts";
import { type Segment, segments } from "./segments.ts";
import type { TurnRequest } from "./turn-request.ts";

/** A slice of the voice: 48 kHz mono, never empty. */
export type AudioChunk = {
  readonly type: "audio";
  readonly pcm: Int16Array;
  /** The tier that spoke. */
  readonly synthesizer: string;
  /**
   * Words whose timing was not told before, heard in this chunk or near it. Samples count from the
   * start of the turn.
   */
  readonly words?: readonly WordTiming[];
};

/** One step of a turn: a piece of the reply's text, or of its voice. Never empty. */
export type TurnChunk = { readonly type: "text"; readonly text: string } | AudioChunk;

/** What a turn needs of the providers. All end promptly, with the signal's reason, when it fires. */
export type Stages = {
  /** The parts of a reply. */
  generate(prompt: Prompt, signal: AbortSignal): AsyncIterable<ReplyPart>;
  /** The voice of one sentence; words count from its own start. */
  speak(text: string, voice: Voice, signal: AbortSignal): AsyncIterable<TurnChunk>;
  /** The text and voice of a model that speaks by itself. */
  frame(parts: Extract<Segment, { kind: "voice" }>["parts"]): AsyncIterable<TurnChunk>;
  /**
   * Makes ready what a turn of this context will need. Resolves when all is ready that can be; never
   * rejects. What was made for it alone is released when the signal fires, unless a turn has taken it.
   */
  prepare(context: PromptContext, signal: AbortSignal): Promise<void>;
};

/**
 * A first sentence longer than this many characters is cut at its next clause mark, so that the
 * voice begins while the rest is still being written.
 */
const FIRST_CLAUSE_AFTER = 40;

/**
 * One sentence waits while the next is being made: two are ahead of the one being sent. More would
 * be paid for in vain whenever the user barges in; fewer would leave gaps.
 */
const SENTENCES_WAITING = 1;

/** Chunks of one sentence that may wait for the client: about 5 s of voice at 96 ms a chunk. */
const CHUNKS_WAITING = 50;

/**
 * Runs one turn: yields each sentence's text and then its voice, while the next sentences are being
 * generated and spoken. Chunks that are ready together travel together, so that the way to the
 * client costs by batch. Every stage is pulled by the one after it, so a slow client slows the
 * providers. Throws the signal's reason as soon as it fires; then everything is released.
 */
export async function* runTurn(
  request: TurnRequest,
  stages: Stages,
  signal: AbortSignal,
): AsyncGenerator<readonly TurnChunk[]> {
  const scope = new AbortController();
  const forget = onAbort(signal, (reason) => scope.abort(reason));
  const timeline = createTimeline();
  const count = { prepared: 0, sent: 0 };
  const queueKey = request.deviceId ?? Symbol("a turn of no device");
  try {
    const stretches = prepare({ request, stages, count, queueKey }, scope.signal);
    for await (const stretch of readAhead(stretches, SENTENCES_WAITING, scope.signal)) {
      if (stretch.text !== undefined) yield [{ type: "text", text: stretch.text }];
      timeline.begin();
      for await (const batch of stretch.chunks ?? []) yield batch.map(timeline.place);
      count.sent += 1;
    }
  } finally {
    forget();
    // Lets go of what was made ahead, when the turn ends early for an error.
    scope.abort();
  }
}

/** A sentence and its voice, or all that a model speaks by itself. */
type Stretch = {
  /** A sentence, sent before its voice. */
  readonly text?: string;
  readonly chunks?: AsyncIterable<readonly TurnChunk[]>;
};

type Preparation = {
  readonly request: TurnRequest;
  readonly stages: Stages;
  /** Stretches so far. */
  readonly count: { prepared: number; sent: number };
  /** As `Voice` has it. */
  readonly queueKey: unknown;
};

async function* prepare(
  { request, stages, count, queueKey }: Preparation,
  signal: AbortSignal,
): AsyncGenerator<Stretch> {
  const reply = request.verbatim
    ? only({ type: "text", text: request.prompt.text } as const)
    : stages.generate(request.prompt, signal);
  for await (const segment of segments(reply)) {
    if (segment.kind === "voice") {
      count.prepared += 1;
      yield { chunks: readAhead(stages.frame(segment.parts), CHUNKS_WAITING, signal).batches };
      continue;
    }
    for await (const text of sentences(textOf(segment.parts), {
      firstClauseAfter: FIRST_CLAUSE_AFTER,
    })) {
      const voice = { ...request.voice, queueKey, queuePosition: count.prepared - count.sent };
      count.prepared += 1;
      const chunks = isSpeakable(text)
        ? readAhead(stages.speak(text, voice, signal), CHUNKS_WAITING, signal).batches
        : undefined;
      yield { text, ...(chunks && { chunks }) };
    }
  }
}

async function* textOf(parts: AsyncIterable<{ readonly text: string }>): AsyncGenerator<string> {
  for await (const { text } of parts) yield text;
}

async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}

/** Moves words from the time of their stretch to the turn's. */
function createTimeline() {
  let beginSample = 0;
  let samples = 0;
  return {
    /** A stretch begins. */
    begin() {
      beginSample = samples;
    },
    place(chunk: TurnChunk): TurnChunk {
      if (chunk.type === "text") return chunk;
      samples += chunk.pcm.length;
      return chunk.words ? { ...chunk, words: later(chunk.words, beginSample) } : chunk;
    },
  };
}

function later(words: readonly WordTiming[], samples: number): readonly WordTiming[] {
  return words.map((word) => ({
    ...word,
    startSample: word.startSample + samples,
    endSample: word.endSample + samples,
  }));
}
