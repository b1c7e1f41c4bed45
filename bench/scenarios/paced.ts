import { setTimeout as sleep } from "node:timers/promises";
import { limitTime } from "../../server/core/time-limit.ts";
import { checkReplies, nextPrompt, talk } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { gaps, percentile } from "../stats.ts";
import { gatewayAndPeer, type Scenario, type Scene } from "./scenario.ts";

const FRAME_MS = 32;

/** Streams in real time, as a live voice gives them: how evenly frames arrive, and what that costs. */
export function paced(size: Size): Scenario {
  // One sentence: the gateway begins the next one ahead of time, which real time does not allow.
  const framesPerSentence = size.pacedMs / FRAME_MS;
  const plan: ReplyPlan = { sentences: 1, framesPerSentence, frameMs: FRAME_MS, paced: true };
  return {
    title: "Streams in real time",
    about: `${size.pacedStreams} streams at once, each ${size.pacedMs / 1000} s of chunks of 3,072 bytes (${FRAME_MS} ms) that are made when their time has come. A gap is the time between two chunks of a stream at the client: ${FRAME_MS} ms if nothing is late.`,
    variants: gatewayAndPeer,
    repeats: size.repeats,
    plan,
    async measure({ server, open, signal }) {
      const devices = await open(size.pacedStreams);
      await warmUp(devices, size, signal);
      const before = await server.read();
      const run = async (device: (typeof devices)[number], index: number) => {
        // Spread over a frame's time, as clients of a live server are.
        await sleep((index * FRAME_MS) / devices.length, undefined, { signal });
        return await talk(device, { prompt: nextPrompt() }, signal);
      };
      const turns = await Promise.all(devices.map(run));
      const after = await server.read();
      checkReplies(turns, plan);
      const all = turns.flatMap(({ audioMs }) => gaps(audioMs));
      const streamSeconds = (devices.length * size.pacedMs) / 1000;
      return [
        { name: "gap p50, ms", value: percentile(all, 0.5) },
        { name: "gap p99, ms", value: percentile(all, 0.99) },
        { name: "gap max, ms", value: percentile(all, 1) },
        {
          name: "server CPU a second of stream, ms",
          value: (after.cpuMs - before.cpuMs) / streamSeconds,
        },
      ];
    },
  };
}

/** Begins every stream and cancels it: by then the server's code is compiled. */
async function warmUp(
  devices: Awaited<ReturnType<Scene["open"]>>,
  { warmUpMs }: Size,
  signal: AbortSignal,
): Promise<void> {
  const { signal: enough } = limitTime(signal, warmUpMs);
  await Promise.all(devices.map((device) => talk(device, { prompt: nextPrompt() }, enough)));
}
