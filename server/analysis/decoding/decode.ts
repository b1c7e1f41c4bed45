import { AnalysisError } from "../errors.ts";
import { type DecodeCommand, decodeByCommand } from "./command.ts";
import { formatOf, HEAD_BYTES, type OwnFormat } from "./format.ts";
import type { Decode, Pcm } from "./mono.ts";

/** How a file is decoded. */
export type DecodeOptions = {
  /** For formats that are not decoded here. */
  readonly command?: DecodeCommand;
  /** A path that is free: a folder for the command's copy. */
  readonly folder: string;
};

/** A file's sound, and what the file is. */
export type OpenedFile = { readonly format: string; readonly sound: AsyncIterable<Pcm> };

/** The decoders, each loaded when a file needs it. */
const decoders: Readonly<Record<OwnFormat, () => Promise<Decode>>> = {
  wav: async () => (await import("./wav.ts")).decodeWavFile,
  mp3: async () => (await import("./mp3.ts")).decodeMp3,
  ogg: async () => (await import("./ogg.ts")).decodeOgg,
  flac: async () => (await import("./flac.ts")).decodeFlac,
  webm: async () => (await import("./webm.ts")).decodeWebm,
};

/** Opens a file by what its first bytes say it is. Throws an `AnalysisError`, also while it is read. */
export async function openFile(
  bytes: AsyncIterable<Uint8Array>,
  { command, folder }: DecodeOptions,
): Promise<OpenedFile> {
  const { head, all } = await readHead(bytes);
  const format = formatOf(head);
  if (format === "empty") throw new AnalysisError("invalid", "the file is empty");
  if (format === "unknown") {
    throw new AnalysisError("invalid", "the file's content is no sound of a known format");
  }
  const isForeign = "own" in format && command && isMatroska(head);
  if ("own" in format && !isForeign) {
    return { format: format.own, sound: naming((await decoders[format.own]())(all)) };
  }
  const name = "other" in format ? format.other : "Matroska";
  if (command) return { format: name, sound: decodeByCommand(all, command, folder) };
  const reason = `the file is ${name}, which needs a program: set DECODE_COMMAND`;
  throw new AnalysisError("unsupported", reason);
}

/** Its files may have any codec; those that call themselves WebM have one of two. */
function isMatroska(head: Uint8Array): boolean {
  return Buffer.from(head).includes("matroska");
}

/** Errors of a decoder's own are the file's fault. */
async function* naming(sound: AsyncIterable<Pcm>): AsyncGenerator<Pcm> {
  try {
    yield* sound;
  } catch (error) {
    if (error instanceof AnalysisError) throw error;
    throw new AnalysisError("invalid", "the file is damaged", String(error));
  }
}

async function readHead(bytes: AsyncIterable<Uint8Array>) {
  const pieces = bytes[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < HEAD_BYTES) {
    const { done, value } = await pieces.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  const all = async function* () {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => pieces };
  };
  return { head: head.subarray(0, HEAD_BYTES), all: all() };
}
