import { mp3FrameBytes } from "./mp3-frames.ts";

/** Formats that are decoded here. */
export type OwnFormat = "wav" | "mp3" | "ogg" | "flac" | "webm";

/** What a file is, by its content: a format of our own, one for `DECODE_COMMAND` by its name, or no sound. */
export type FileFormat =
  | { readonly own: OwnFormat }
  | { readonly other: string }
  | "unknown"
  | "empty";

/** How much of a file tells its format, behind a tag of ID3. */
export const HEAD_BYTES = 64;

/** Formats by the text at a place of the file's head. */
const signatures: readonly (readonly [at: number, text: string, is: FileFormat])[] = [
  [0, "fLaC", { own: "flac" }],
  // The first packet stands behind the page's header, where it is alone on the page.
  [28, "OpusHead", { own: "ogg" }],
  [28, "\u0001vorbis", { own: "ogg" }],
  [0, "OggS", { other: "Ogg with a codec other than Vorbis and Opus" }],
  [0, "\u001aE\u00df\u00a3", { own: "webm" }],
  [4, "ftyp", { other: "MP4 (M4A)" }],
  [0, "FORM", { other: "AIFF" }],
  [0, "caff", { other: "CAF" }],
  [0, "#!AMR", { other: "AMR" }],
  [0, "RF64", { other: "RF64" }],
  [0, ".snd", { other: "AU" }],
  [0, "\u0030\u0026\u00b2\u0075\u008e\u0066\u00cf\u0011", { other: "WMA" }],
];

/** Tells what a file is by its first `HEAD_BYTES`, or fewer if it has no more. Names count for nothing. */
export function formatOf(head: Uint8Array): FileFormat {
  const text = Buffer.from(head).toString("latin1");
  if (text === "") return "empty";
  if (text.startsWith("RIFF") && text.startsWith("WAVE", 8)) return { own: "wav" };
  const found = signatures.find(([at, signature]) => text.startsWith(signature, at));
  if (found) return found[2];
  if (text.startsWith("ID3")) return { own: "mp3" };
  if (head.length < 4) return "unknown";
  const header = Buffer.from(head).readUInt32BE();
  if (mp3FrameBytes(header) !== undefined) return { own: "mp3" };
  // The same mark with layer 0.
  return (header & 0xfff60000) >>> 0 === 0xfff00000 ? { other: "AAC" } : "unknown";
}
