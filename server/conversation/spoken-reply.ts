import { type Channel, createChannel } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { type AudioChunk, createFramer } from "../failover/framer.ts";
import type { TierPart } from "../failover/text.ts";
import type { Source } from "../failover/tiers.ts";
import { spreadWords, wordsOf } from "../failover/words.ts";
import type { WordTiming } from "../models/synthesizer.ts";

/** A chunk of such a reply. */
type SpokenChunk =
  | AudioChunk
  | { readonly type: "text"; readonly text: string; readonly source?: Source };

/** A part of a model that speaks by itself. */
type SpokenPart = Exclude<TierPart["part"], { type: "text" }>;

/** Sound that may wait for the client, in samples: 5 s for each segment, and one part of the voice. */
const SAMPLES_WAITING = 5 * outputRateHz;

/** A bounded channel for chunks. Text counts too, so that it is bounded: a character as a third of a millisecond. */
export function createChunkChannel(signal: AbortSignal): Channel<SpokenChunk> {
  return createChannel(SAMPLES_WAITING, signal, (chunk) =>
    chunk.type === "audio" ? chunk.pcm.length : chunk.text.length * 16,
  );
}

/** Where the chunks go. */
type ChunkWriter = {
  pushAll(chunks: readonly SpokenChunk[]): unknown;
  close(): void;
};

/** The voice of a model that speaks by itself: its sound, and its transcript as text. */
export type SpokenReply = {
  isOpen(): boolean;
  /** Begins to speak. */
  open(writer: ChunkWriter): void;
  /** Waits while too much sound waits for the client. */
  push(source: Source | undefined, part: SpokenPart): Promise<unknown>;
  /** Ends it, if it is open; what is left becomes the last chunk. */
  end(): Promise<void>;
};

/** Makes a voice that is not open. */
export function createSpokenReply(samplesPerChunk: number): SpokenReply {
  let current: ReturnType<typeof speakTo> | undefined;
  return {
    isOpen: () => current !== undefined,
    open(writer) {
      current = speakTo(writer, samplesPerChunk);
    },
    push: async (source, part) => current?.push(source, part),
    async end() {
      const ended = current;
      current = undefined;
      await ended?.end();
    },
  };
}

function speakTo(writer: ChunkWriter, samplesPerChunk: number) {
  const framer = createFramer(samplesPerChunk, 1);
  const transcript = createTranscriptWords();
  return {
    push(source: Source | undefined, part: SpokenPart) {
      if (source) framer.begin(source);
      if (part.type === "audio") return writer.pushAll(framer.push(part));
      framer.addWords(transcript.write(part.text, framer.samples()));
      if (part.text === "") return undefined;
      return writer.pushAll([{ type: "text", text: part.text, ...(source && { source }) }]);
    },
    async end() {
      const rest = framer.endVoice();
      framer.addWords(transcript.end(framer.samples()));
      await writer.pushAll([...rest, ...framer.flush()]);
      writer.close();
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
