import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "../device.ts";
import { checkReplies, firstAudioAfterMs, nextPrompt, type Turn, talk } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import type { Scenario } from "./scenario.ts";

/** In real time, so that the turns of a round run at the same time. */
const plan: ReplyPlan = { sentences: 1, framesPerSentence: 30, frameMs: 96, paced: true };
const SPREAD_MS = 2000;

/** What it costs a turn that it is stored. */
export function storage(size: Size): Scenario {
  const { storedTurns, storedRounds } = size;
  return {
    title: "Stored turns",
    about: `${storedRounds} times ${storedTurns} turns of ${(plan.framesPerSentence * plan.frameMs) / 1000} s of audio in real time, which begin within ${SPREAD_MS / 1000} s, after a round that is not counted. With storage, the end message comes when the turn is in the database: its time from the last audio is what storing adds. The longest stall is of the event loop, by a watch that looks every millisecond.`,
    variants: [
      {
        name: "storage on",
        server: "gateway",
        protocol: "gRPC",
        settings: { STORAGE_ENABLED: "true" },
      },
      {
        name: "storage off",
        server: "gateway",
        protocol: "gRPC",
        settings: { STORAGE_ENABLED: "false" },
      },
    ],
    repeats: size.repeats,
    plan,
    async measure({ server, open, signal }) {
      const devices = await open(storedTurns);
      await runRound(devices, signal);
      await server.read();
      const turns: Turn[] = [];
      for (let round = 0; round < storedRounds; round++) {
        turns.push(...(await runRound(devices, signal)));
      }
      const { stallMs = Number.NaN } = await server.read();
      checkReplies(turns, plan);
      const firsts = turns.map(firstAudioAfterMs);
      const ends = turns.map(endAfterMs);
      return [
        { name: "time to first audio, p50, ms", value: percentile(firsts, 0.5) },
        { name: "time to first audio, p99, ms", value: percentile(firsts, 0.99) },
        { name: "last audio to end message, p50, ms", value: percentile(ends, 0.5) },
        { name: "last audio to end message, p99, ms", value: percentile(ends, 0.99) },
        { name: "longest stall of the event loop, ms", value: stallMs },
      ];
    },
  };
}

async function runRound(devices: readonly Device[], signal: AbortSignal): Promise<Turn[]> {
  const begin = async (device: Device, index: number) => {
    await sleep((index * SPREAD_MS) / devices.length, undefined, { signal });
    return await talk(device, { prompt: nextPrompt() }, signal);
  };
  return await Promise.all(devices.map(begin));
}

function endAfterMs({ audioMs, endedMs }: Turn): number {
  return endedMs - (audioMs.at(-1) ?? Number.NaN);
}
