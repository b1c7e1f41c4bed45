import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type SpeechEmulator, startSpeechServer } from "./microsoft-speech-server.ts";
import { mp3Word } from "./microsoft-speech-tones.ts";

/** Options of an emulated Edge service. */
export type EdgeEmulatorOptions = {
  /** Its clock, milliseconds since 1970. */
  readonly nowMs?: () => number;
};

const path = "/consumer/speech/synthesize/readaloud/edge/v1";
const tokenSeconds = 300;

/**
 * Starts an emulated read-aloud service of the Edge browser: its WebSocket, MP3 at 24 kHz, a tone and a
 * word boundary for each word. It refuses a token that is not of the current five minutes.
 */
export async function startEdgeEmulator(
  options: EdgeEmulatorOptions = {},
): Promise<SpeechEmulator> {
  const nowMs = options.nowMs ?? Date.now;
  const emulator = await startSpeechServer({
    path,
    nowMs,
    audio: { type: "audio/mpeg", word: (at, isWrong) => mp3Word(at, isWrong ? 16_000 : 24_000) },
    refuses: (request) => (isCurrent(request, nowMs()) ? undefined : 403),
  });
  return { ...emulator, url: `${emulator.url}${path}` };
}

/** True if the token is valid: a hash of the time since 1601, rounded, and the client's token. */
function isCurrent({ url = "" }: IncomingMessage, timeMs: number): boolean {
  const query = new URL(url, "ws://x").searchParams;
  const seconds = Math.floor(timeMs / 1000) + 11_644_473_600;
  const periods = BigInt(Math.floor(seconds / tokenSeconds));
  const hashed = `${periods * BigInt(tokenSeconds) * 10_000_000n}${query.get("TrustedClientToken")}`;
  const token = createHash("sha256").update(hashed).digest("hex");
  return query.get("Sec-MS-GEC")?.toLowerCase() === token;
}
