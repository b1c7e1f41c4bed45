import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { nowMs } from "../clock.ts";
import type { Device } from "../device.ts";
import { audioSeconds, firstAudioAfterMs, type Turn, talk } from "../load.ts";
import type { Size } from "../size.ts";
import { percentile, sum } from "../stats.ts";
import { type Figure, gatewayAlone, type Scenario, type Scene } from "./scenario.ts";

const people = ["Anna", "Peter", "Maria", "George", "Helen", "Thomas", "Julia"];
const places = ["the harbour", "the old library", "the station", "the market", "the garden"];
const things = ["a letter", "two tickets", "a yellow umbrella"];

/** The local voice as it ships: how soon it is heard, and how much of it a machine can speak. */
export function localVoice(size: Size): Scenario {
  return {
    title: "The local voice as it ships",
    about: `Prompts of three sentences that begin with "say:", all begun in the same moment, no two alike. Real-time factor: time to the last audio divided by the length of the audio; below 1 nobody waits. The voice speaks in a process of its own, whose CPU is not in the gateway's; it is loaded before the clock starts. A turn that is refused, because the voice has too much to say, asks again when it was told to, and counts from its first asking.`,
    variants: gatewayAlone,
    repeats: 1,
    async measure(scene) {
      const figures: Figure[] = [];
      await run(scene, { atOnce: 1, times: 1 });
      for (const load of size.localTurns) figures.push(...(await run(scene, load)));
      await checkVoice(scene);
      return figures;
    },
  };
}

let spoken = 0;

/** Three sentences that were not said before: a voice may remember those that were. */
function nextText(): string {
  spoken += 1;
  const pick = (words: readonly string[]) => words[spoken % words.length];
  return `${pick(people)} waited at ${pick(places)}. There were ${spoken} people and ${pick(things)}. Nobody saw the train leave.`;
}

type LocalLoad = Size["localTurns"][number];

async function run(
  { server, open, signal }: Scene,
  { atOnce, times }: LocalLoad,
): Promise<readonly Figure[]> {
  const devices = await open(atOnce);
  let refusals = 0;
  const ask = (device: Device) => askUntilAdmitted(device, () => (refusals += 1), signal);
  const turns: Turn[] = [];
  const before = await server.read();
  for (let time = 0; time < times; time++) turns.push(...(await Promise.all(devices.map(ask))));
  const after = await server.read();
  const tookSeconds = (after.atMs - before.atMs) / 1000;
  const seconds = turns.map(audioSeconds);
  const firstMs = turns.map(firstAudioAfterMs);
  const figure = (name: string, value: number) => ({ name: `${atOnce} at once: ${name}`, value });
  return [
    figure("first audio, p50, ms", percentile(firstMs, 0.5)),
    figure("first audio, max, ms", percentile(firstMs, 1)),
    figure("last audio, p50, ms", percentile(turns.map(lastAudioAfterMs), 0.5)),
    figure("last audio, max, ms", percentile(turns.map(lastAudioAfterMs), 1)),
    figure("real-time factor, p50", percentile(turns.map(realTimeFactor), 0.5)),
    figure("seconds of audio made a second (more is better)", sum(seconds) / tookSeconds),
    figure("gateway's own CPU a second of audio, ms", (after.cpuMs - before.cpuMs) / sum(seconds)),
    figure("refusals", refusals),
  ];
}

/** Asks again each time that the gateway says when, as a client should. */
async function askUntilAdmitted(
  device: Device,
  onRefusal: () => void,
  signal: AbortSignal,
): Promise<Turn> {
  const start = { prompt: `say: ${nextText()}` };
  const begunMs = nowMs();
  for (;;) {
    try {
      return { ...(await talk(device, start, signal)), begunMs };
    } catch (error) {
      await sleep(retryMs(error), undefined, { signal });
      onRefusal();
    }
  }
}

/** When a refused turn is to come again. Throws an error that names no time. */
function retryMs(error: unknown): number {
  const [info] = error instanceof ConnectError ? error.findDetails(RetryInfoSchema) : [];
  if (!info?.retryDelay || ConnectError.from(error).code !== Code.ResourceExhausted) throw error;
  return Number(info.retryDelay.seconds) * 1000 + info.retryDelay.nanos / 1e6;
}

function lastAudioAfterMs(turn: Turn): number {
  return (turn.audioMs.at(-1) ?? Number.NaN) - turn.begunMs;
}

function realTimeFactor(turn: Turn): number {
  return lastAudioAfterMs(turn) / 1000 / audioSeconds(turn);
}

/** Throws if another tier spoke in the local voice's place: a tone is soon made. */
async function checkVoice({ server }: Scene): Promise<void> {
  const { answers } = await server.read();
  const others = Object.keys(answers).filter((name) => name !== "local" && name !== "offline");
  if (!answers["local"] || others.some((name) => answers[name])) {
    throw new Error(`the local voice did not speak: ${JSON.stringify(answers)}`);
  }
}
