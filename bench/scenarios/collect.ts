import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { RequestPhase } from "../../gen/streaming/streaming_pb.ts";
import { nowMs } from "../clock.ts";
import { CONNECT_MS, FIRST_PART_MS, FIRST_SOUND_MS, isLive } from "../collect-devices.ts";
import type { Device } from "../device.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import type { Figure, Scenario } from "./scenario.ts";

/** Two devices for each model: the emulators run in the gateway's process and cost CPU too. */
const DEVICES = 4;
/** How long before its turn a device sends a piece of the prompt. */
const AHEAD_MS = 500;
/** Longer than any connection is kept: Node keeps one of HTTP for 4 s. */
const REST_MS = 5000;

/** What a piece of the prompt that comes ahead gains to the first audio. */
export function collect(size: Size): Scenario {
  return {
    title: "Time to first audio, with the prompt collected ahead",
    about: `Emulated services to which a connection takes ${CONNECT_MS} ms; the model takes ${FIRST_PART_MS} ms more to its first words, the voice ${FIRST_SOUND_MS} ms to a sentence's first sound. Every device has rested for ${REST_MS / 1000} s, so that no connection of its last turn is left. With COLLECT: a piece of the prompt comes ${AHEAD_MS} ms before the turn. Live: the model speaks by itself, on a connection that goes on with the session of the turn before. Time counts from COMMIT; ${DEVICES / 2} devices each.`,
    variants: [{ name: "gateway", server: "collect-gateway", protocol: "gRPC" }],
    repeats: 1,
    async measure({ open, signal }) {
      const talkers = (await open(DEVICES)).map((device) => ({ device, sessionId: randomUUID() }));
      const round = async (isAhead: boolean) => {
        const turns = talkers.map((talker) => firstAudioMs(talker, isAhead, signal));
        const all = await Promise.all(turns);
        await sleep(REST_MS, undefined, { signal });
        return all;
      };
      // The first turns compile the code, and give each device a session to go on with.
      await round(false);
      const without: FirstAudio[] = [];
      const ahead: FirstAudio[] = [];
      for (let at = 0; at < size.collectRounds; at++) {
        without.push(...(await round(false)));
        ahead.push(...(await round(true)));
      }
      return [false, true].flatMap((live) => [
        figure(live, "without COLLECT", without),
        figure(live, "with COLLECT", ahead),
      ]);
    },
  };
}

type Talker = { readonly device: Device; readonly sessionId: string };
type FirstAudio = { readonly live: boolean; readonly afterMs: number };

async function firstAudioMs(
  { device: { client, id }, sessionId }: Talker,
  isAhead: boolean,
  signal: AbortSignal,
): Promise<FirstAudio> {
  const request = { hardwareId: id, sessionId };
  if (isAhead) {
    const piece = { ...request, phase: RequestPhase.COLLECT, chunkText: "Tell me" };
    await Array.fromAsync(client.streamAudio(piece, { signal }));
    await sleep(AHEAD_MS, undefined, { signal });
  }
  const begunMs = nowMs();
  let afterMs: number | undefined;
  const commit = { ...request, phase: RequestPhase.COMMIT, prompt: "Tell me all." };
  for await (const { content } of client.streamAudio(commit, { signal })) {
    if (content.case === "audioChunk") afterMs ??= nowMs() - begunMs;
  }
  if (afterMs === undefined) throw new Error(`the turn of ${id} had no audio`);
  return { live: isLive(id), afterMs };
}

function figure(live: boolean, how: string, all: readonly FirstAudio[]): Figure {
  const times = all.filter((one) => one.live === live).map(({ afterMs }) => afterMs);
  const name = live ? "gemini-live" : "gemini, edge";
  return { name: `${name}: ${how}, p50, ms`, value: percentile(times, 0.5) };
}
