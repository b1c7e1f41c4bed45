import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type SpeechEmulator, startSpeechServer } from "./microsoft-speech-server.ts";
import { mp3Word } from "./microsoft-speech-tones.ts";

/** What an emulated Edge service is started with. */
export type EdgeEmulatorOptions = {
  /** Its clock, milliseconds since 1970. */
  readonly nowMs?: () => number;
};

const path = "/consumer/speech/synthesize/readaloud/edge/v1";
const tokenSeconds = 300;

/**
 * Starts an emulated read-aloud service of the Edge browser: its websocket, MP3 of 24 kHz, each word
 * a tone of its own, with its boundary. It refuses a token of other five minutes than its own; the
 * path is `${url}${path}` as the vendor has it.
 */
export async function startEdgeEmulator(
  options: EdgeEmulatorOptions = {},
): Promise<SpeechEmulator> {
  const nowMs = options.nowMs ?? Date.now;
  const emulator = await startSpeechServer({
    path,
    nowMs,
    sound: { type: "audio/mpeg", word: (at, isWrong) => mp3Word(at, isWrong ? 16_000 : 24_000) },
    refuses: (request) => (isCurrent(request, nowMs()) ? undefined : 403),
  });
  return { ...emulator, url: `${emulator.url}${path}` };
}

/** The time from 1601 in five minutes, in units of 100 ns, and the client's name, hashed. */
function isCurrent({ url = "" }: IncomingMessage, timeMs: number): boolean {
  const query = new URL(url, "ws://x").searchParams;
  const seconds = Math.floor(timeMs / 1000) + 11_644_473_600;
  const periods = BigInt(Math.floor(seconds / tokenSeconds));
  const hashed = `${periods * BigInt(tokenSeconds) * 10_000_000n}${query.get("TrustedClientToken")}`;
  const token = createHash("sha256").update(hashed).digest("hex");
  return query.get("Sec-MS-GEC")?.toLowerCase() === token;
}
