import type { SpeakerMessage, SpeakRequest } from "../booth/messages.ts";
import type { Speaker } from "./speaker.ts";

/*
 * The process in which the local voice speaks, started by speaker-link.ts. It is a process and not
 * a worker because the model's run is one synchronous call into native code: it would hold up the
 * gateway's event loop, and ending a worker in the middle of it aborts the whole gateway.
 */

function send(message: SpeakerMessage, onSent?: () => void): void {
  process.send?.(message, undefined, undefined, () => onSent?.());
}

function failureOf(error: unknown): SpeakerMessage {
  return { type: "failed", message: error instanceof Error ? error.message : String(error) };
}

async function answer(speaker: Speaker, { text, pauseMs }: SpeakRequest): Promise<void> {
  try {
    const pcm = await speaker.speak(text, pauseMs);
    send({ type: "spoken", pcm, sampleRateHz: speaker.sampleRateHz });
  } catch (error) {
    send(failureOf(error));
  }
}

async function run(): Promise<void> {
  // Imported here, so that a missing package is told and not only printed.
  const { createSpeaker } = await import("./speaker.ts");
  const speaker = await createSpeaker();
  process.on("message", (request: SpeakRequest) => void answer(speaker, request));
  send({ type: "ready" });
}

// The gateway decides when it ends: a signal to the whole group must not silence its last turns.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
process.on("disconnect", () => process.exit());
run().catch((error) => send(failureOf(error), () => process.exit(1)));
