import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hasProgram } from "../support/program.ts";

/** Whether files of all formats can be made here. In CI they must be. */
export const hasFfmpeg = () => hasProgram("ffmpeg", ["-version"], "install ffmpeg");

/** Formats by the names that the gateway has for them, and how ffmpeg makes them. */
export const formats = {
  "a.wav": { format: "wav", args: ["-c:a", "pcm_s16le"] },
  "float.wav": { format: "wav", args: ["-c:a", "pcm_f32le", "-ar", "96000"] },
  "a.mp3": { format: "mp3", args: ["-c:a", "libmp3lame", "-b:a", "64k"] },
  "vbr.mp3": { format: "mp3", args: ["-c:a", "libmp3lame", "-q:a", "4", "-ar", "22050"] },
  "mpeg.mp2": { format: "mp3", args: ["-c:a", "mp2"] },
  "vorbis.ogg": { format: "ogg", args: ["-c:a", "libvorbis"] },
  "opus.ogg": { format: "ogg", args: ["-c:a", "libopus"] },
  "surround.opus": { format: "ogg", args: ["-c:a", "libopus", "-ac", "6", "-ar", "48000"] },
  "a.flac": { format: "flac", args: ["-c:a", "flac"] },
  "24.flac": { format: "flac", args: ["-c:a", "flac", "-sample_fmt", "s32", "-ac", "6"] },
  "opus.webm": { format: "webm", args: ["-c:a", "libopus"] },
  "vorbis.webm": { format: "webm", args: ["-c:a", "libvorbis"] },
} as const;

/** The name of a file in `formats`. */
export type FormatName = keyof typeof formats;

/** A steady tone, by ffmpeg, of so many seconds. */
export function makeSound(folder: string, name: string, seconds: number, args: readonly string[]) {
  const path = join(folder, name);
  const tone = `sine=frequency=440:duration=${seconds}:sample_rate=44100`;
  execFileSync("ffmpeg", ["-v", "error", "-y", "-f", "lavfi", "-i", tone, ...args, path]);
  return readFileSync(path);
}
