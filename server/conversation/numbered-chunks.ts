import { outputRateHz } from "../core/audio/pcm.ts";
import { OutOfRange } from "../core/errors.ts";
import { countSamples, samplesIn } from "./chunk-samples.ts";
import type { TurnChunk } from "./reply.ts";

/** A chunk with its number in the turn, from 1. */
type NumberedChunk = TurnChunk & { readonly sequence: number };

/** Sound of one batch, in samples: 1 s. */
const SAMPLES_A_BATCH = outputRateHz;
const SAMPLES_A_MS = outputRateHz / 1000;

type Entry = {
  readonly chunk: NumberedChunk;
  readonly bytes: number;
  /** Samples of the turn up to its end. */
  readonly endSample: number;
  /** When it will have been played, once it was sent. */
  playedMs: number;
};

/** Where a turn stands that another process began. */
export type NumberedStart = {
  /** The number of the last chunk, and the samples of the turn up to its end. */
  readonly last: number;
  readonly samples: number;
  /** The last chunks, which may all have been sent. */
  readonly chunks: readonly TurnChunk[];
};

/** The chunks of a turn that are kept, in order, and how far they were sent and played. */
export class NumberedChunks {
  readonly #entries: Entry[] = [];
  readonly #now: () => number;
  readonly #onBytes: (change: number) => void;
  #bytes = 0;
  #last = 0;
  #samples = 0;
  #sent = { sequence: 0, samples: 0, playedMs: 0 };
  #firstSound: number | undefined;

  /** `now` reads a monotonic clock, in milliseconds. `onBytes` is told how many bytes more are kept. */
  constructor(now: () => number, onBytes: (change: number) => void, start?: NumberedStart) {
    this.#now = now;
    this.#onBytes = onBytes;
    if (!start) return;
    const { last, samples, chunks } = start;
    this.#last = last - chunks.length;
    this.#samples = samples - countSamples(chunks);
    this.#sent = { sequence: this.#last, samples: this.#samples, playedMs: now() };
    this.add(chunks);
    this.send(last);
  }

  /** Bytes that are kept, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of the last chunk that was added; 0 if none was. */
  get last(): number {
    return this.#last;
  }

  /** The number of the first chunk that is kept, or of the next one. */
  get first(): number {
    return this.#last - this.#entries.length + 1;
  }

  /** When the first chunk will have been played, by the clock. */
  get firstPlayedMs(): number {
    return this.#entries[0]?.playedMs ?? 0;
  }

  add(chunks: readonly TurnChunk[]): void {
    for (const chunk of chunks) {
      this.#last += 1;
      if (chunk.type === "audio") {
        this.#samples += chunk.pcm.length;
        this.#firstSound ??= this.#last;
      }
      const bytes = bytesOf(chunk);
      const numbered = { ...chunk, sequence: this.#last };
      this.#entries.push({ chunk: numbered, bytes, endSample: this.#samples, playedMs: 0 });
      this.#count(bytes);
    }
  }

  /** The next batch behind a number: 1 s of sound at most, the first sound alone; empty if there is none. */
  behind(after: number): readonly NumberedChunk[] {
    const batch: NumberedChunk[] = [];
    let samples = 0;
    for (let at = after + 1 - this.first; at < this.#entries.length; at++) {
      const { chunk } = this.#entries[at] as Entry;
      samples += samplesIn(chunk);
      if (batch.length > 0 && samples > SAMPLES_A_BATCH) break;
      batch.push(chunk);
      if (chunk.sequence === this.#firstSound) break;
    }
    return batch;
  }

  /** Chunks up to this number leave for the client, which plays them one after another. */
  send(upTo: number): void {
    const from = Math.max(0, this.#sent.sequence + 1 - this.first);
    for (const entry of this.#entries.slice(from, upTo - this.first + 1)) {
      const playMs = (entry.endSample - this.#sent.samples) / SAMPLES_A_MS;
      entry.playedMs = Math.max(this.#now(), this.#sent.playedMs) + playMs;
      const { chunk, endSample: samples, playedMs } = entry;
      this.#sent = { sequence: chunk.sequence, samples, playedMs };
    }
  }

  /** Throws `OutOfRange` if a client cannot go on behind this number. */
  checkPosition(after: number): void {
    const { sequence } = this.#sent;
    if (after < this.first - 1) {
      throw new OutOfRange(`resume_after must be ${this.first - 1} or more: the rest is not kept`);
    }
    if (after > sequence) {
      throw new OutOfRange(`resume_after must be ${sequence} or less: no more was sent`);
    }
  }

  dropUpTo(sequence: number): void {
    this.#dropWhile(({ chunk }) => chunk.sequence <= sequence);
  }

  /** Drops what was sent and ends within so many samples. */
  dropHeard(samples: number): void {
    const { sequence } = this.#sent;
    this.#dropWhile(({ chunk, endSample }) => endSample <= samples && chunk.sequence <= sequence);
  }

  /** Drops what was played by now, up to a number, until no more than `maxBytes` are kept. */
  dropPlayed(upTo: number, maxBytes: number): void {
    const now = this.#now();
    this.#dropWhile(
      ({ chunk, playedMs }) => this.#bytes > maxBytes && chunk.sequence <= upTo && playedMs <= now,
    );
  }

  /** The samples that the client has played by the clock; undefined if it was sent all there is. */
  playedOfPart(): number | undefined {
    if (this.#sent.sequence === this.#last) return undefined;
    const aheadMs = Math.max(0, this.#sent.playedMs - this.#now());
    return Math.max(0, Math.round(this.#sent.samples - aheadMs * SAMPLES_A_MS));
  }

  #dropWhile(isDropped: (entry: Entry) => boolean): void {
    const end = this.#entries.findIndex((entry) => {
      if (!isDropped(entry)) return true;
      this.#count(-entry.bytes);
      return false;
    });
    this.#entries.splice(0, end === -1 ? this.#entries.length : end);
  }

  #count(change: number): void {
    this.#bytes += change;
    this.#onBytes(change);
  }
}

/** What a chunk takes in memory, about. */
function bytesOf(chunk: TurnChunk): number {
  if (chunk.type === "text") return 128 + 2 * chunk.text.length;
  const { byteLength = 0 } = chunk.packet ?? {};
  return 128 + chunk.pcm.byteLength + byteLength + 128 * (chunk.words?.length ?? 0);
}
