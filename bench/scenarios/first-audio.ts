import { setTimeout as sleep } from "node:timers/promises";
import { checkReplies, firstAudioAfterMs, nextPrompt, type Turn, talk, talkFor } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import { gatewayAndPeer, type Scenario } from "./scenario.ts";

const plan: ReplyPlan = { sentences: 1, framesPerSentence: 5, frameMs: 96, paced: false };

/**
 * What the gateway adds to the time to first audio when its providers take no time at all. The
 * clients of a burst begin within `withinMs`.
 */
export function firstAudio(size: Size, withinMs = 0): Scenario {
  const spread = withinMs === 0 ? "all ask in the same moment" : `begin within ${withinMs} ms`;
  const label = withinMs === 0 ? "at once" : `within ${withinMs} ms`;
  return {
    title: "Time to first audio, overhead alone",
    about: `Text and voice take no time. Alone: ${size.lonelyTurns} turns, one after the other. At once: ${size.bursts} times ${size.streams} clients that ${spread}.`,
    variants: gatewayAndPeer,
    repeats: size.repeats,
    plan,
    async measure({ open, signal }) {
      const devices = await open(size.streams);
      checkReplies(await talkFor(devices, size.warmUpMs, signal), plan);
      const ask = (device: (typeof devices)[number]) =>
        talk(device, { prompt: nextPrompt() }, signal);
      const alone: Turn[] = [];
      for (const device of devices.slice(0, 1)) {
        while (alone.length < size.lonelyTurns) alone.push(await ask(device));
      }
      const together: Turn[] = [];
      for (let burst = 0; burst < size.bursts; burst++) {
        const begin = async (device: (typeof devices)[number], index: number) => {
          if (withinMs > 0) {
            await sleep((index * withinMs) / devices.length, undefined, { signal });
          }
          return await ask(device);
        };
        together.push(...(await Promise.all(devices.map(begin))));
      }
      checkReplies([...alone, ...together], plan);
      return [
        { name: "alone, p50, ms", value: percentile(alone.map(firstAudioAfterMs), 0.5) },
        { name: "alone, p99, ms", value: percentile(alone.map(firstAudioAfterMs), 0.99) },
        {
          name: `${size.streams} ${label}, p50, ms`,
          value: percentile(together.map(firstAudioAfterMs), 0.5),
        },
        {
          name: `${size.streams} ${label}, p99, ms`,
          value: percentile(together.map(firstAudioAfterMs), 0.99),
        },
      ];
    },
  };
}
