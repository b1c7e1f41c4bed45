import { Code, ConnectError } from "@connectrpc/connect";
import { throwIfAborted } from "../server/core/async.ts";
import { nowMs } from "./clock.ts";
import type { Device } from "./device.ts";
import { type ReplyPlan, SAMPLE_RATE_HZ, sentencesOf } from "./reply.ts";

/** One turn as a client sees it. All times by `nowMs`. */
export type Turn = {
  readonly prompt: string;
  readonly begunMs: number;
  readonly endedMs: number;
  /** When each audio chunk came. */
  readonly audioMs: readonly number[];
  readonly audioBytes: number;
  readonly text: string;
  /** False if the turn was cut short. */
  readonly done: boolean;
};

/** What a turn is begun with. */
export type TurnStart = {
  readonly prompt: string;
  /** Called at every audio chunk. */
  readonly onAudio?: () => void;
};

let prompts = 0;

/** A prompt for the bench's own text and voice: a number that no other turn has. */
export function nextPrompt(): string {
  prompts += 1;
  return String(prompts);
}

/** Runs a turn to its end, or until it is interrupted or the signal fires. Throws if it fails. */
export async function talk(
  { id, client }: Device,
  { prompt, onAudio }: TurnStart,
  signal: AbortSignal,
): Promise<Turn> {
  const begunMs = nowMs();
  const audioMs: number[] = [];
  let audioBytes = 0;
  let text = "";
  let done = false;
  try {
    for await (const { content } of client.streamAudio({ prompt, hardwareId: id }, { signal })) {
      if (content.case === "audioChunk") {
        audioMs.push(nowMs());
        audioBytes += content.value.audioData.length;
        onAudio?.();
      } else if (content.case === "textChunk") {
        text += content.value;
      } else {
        done = content.case === "endMessage";
      }
    }
  } catch (error) {
    if (ConnectError.from(error).code !== Code.Canceled) throw error;
  }
  return { prompt, begunMs, endedMs: nowMs(), audioMs, audioBytes, text, done };
}

/**
 * Lets every device talk, turn after turn, and answers all turns. None begins after `durationMs`;
 * those in progress then are run to their ends.
 */
export async function talkFor(
  devices: readonly Device[],
  durationMs: number,
  signal: AbortSignal,
): Promise<readonly Turn[]> {
  const lastMs = nowMs() + durationMs;
  const turns: Turn[] = [];
  const run = async (device: Device) => {
    do {
      turns.push(await talk(device, { prompt: nextPrompt() }, signal));
      throwIfAborted(signal);
    } while (nowMs() < lastMs);
  };
  await Promise.all(devices.map(run));
  return turns;
}

/** Milliseconds from a turn's begin to its first audio. Throws if it had none. */
export function firstAudioAfterMs({ begunMs, audioMs, prompt }: Turn): number {
  const [firstMs] = audioMs;
  if (firstMs === undefined) throw new Error(`turn ${prompt} had no audio`);
  return firstMs - begunMs;
}

/** Seconds of audio that a turn brought. */
export function audioSeconds({ audioBytes }: Turn): number {
  return audioBytes / 2 / SAMPLE_RATE_HZ;
}

/** Throws unless each turn brought exactly what the plan says: else figures would not compare. */
export function checkReplies(turns: readonly Turn[], plan: ReplyPlan): void {
  const frames = plan.sentences * plan.framesPerSentence;
  for (const turn of turns) {
    const whole =
      turn.done &&
      turn.text === sentencesOf(plan, turn.prompt).join("") &&
      turn.audioMs.length === frames &&
      Math.round(audioSeconds(turn) * 1000) === frames * plan.frameMs;
    if (!whole) {
      throw new Error(
        `turn ${turn.prompt} brought ${turn.audioMs.length} frames of ${frames}, done: ${turn.done}, text: ${turn.text}`,
      );
    }
  }
}
