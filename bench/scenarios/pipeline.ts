import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../../server/core/async.ts";
import { nowMs } from "../clock.ts";
import type { Device } from "../device.ts";
import { checkReplies, firstAudioAfterMs, nextPrompt, type Turn, talk } from "../load.ts";
import type { PipelineReading } from "../pipeline-child.ts";
import {
  DELTA_MS,
  deltasPerSentence,
  FIRST_SOUND_MS,
  promptOf,
  type Style,
  type TurnMarks,
} from "../pipeline-providers.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import type { Figure, Scenario, Scene, Variant } from "./scenario.ts";

/** Two seconds of sound a sentence: about what its 30 characters take to be said. */
const plan: ReplyPlan = { sentences: 10, framesPerSentence: 20, frameMs: 96, paced: false };

/** Over this time the turns that run at once are begun, so that they do not march in step. */
const SPREAD_MS = 1000;

const gatewayAndSerial: readonly Variant[] = [
  { name: "gateway", server: "pipeline-gateway", protocol: "gRPC" },
  { name: "serial", server: "serial", protocol: "gRPC" },
];

/** How well text, speech and sending overlap when the providers take their time. */
export function pipeline(size: Size): Scenario {
  const { "small deltas": small, "large deltas": large } = deltasPerSentence;
  return {
    title: "Pipeline",
    about: `A model that writes a delta each ${DELTA_MS} ms, ${plan.sentences} sentences of ${small} small or ${large} large ones, and a voice that takes ${FIRST_SOUND_MS} ms to a sentence's first sound and then has all of it, ${(plan.framesPerSentence * plan.frameMs) / 1000} s. The serial way collects the whole text, then speaks one sentence after the other. Overhead: time to first audio, less what the model took to the delta that shows that the first sentence has ended, less ${FIRST_SOUND_MS} ms. That delta is the first of the second sentence: after the full stop alone "Dr." looks the same, so the user waits for ${DELTA_MS} ms more than the overhead says. Whole reply: time to the last audio, divided by what the model took for all deltas and ${FIRST_SOUND_MS} ms. At once: ${size.streams} clients that begin within ${SPREAD_MS / 1000} s, the second turn of each.`,
    variants: gatewayAndSerial,
    repeats: size.repeats,
    plan,
    async measure(scene) {
      const devices = await scene.open(size.streams);
      const together = await hear(scene, () => runTogether(devices, scene.signal));
      const alone = await hear(scene, () => runAlone(devices, size.pacedMs, scene.signal));
      const small = await hear(scene, () => runWhole(devices, "small deltas", scene.signal));
      const large = await hear(scene, () => runWhole(devices, "large deltas", scene.signal));
      const many = `${devices.length} at once`;
      return [
        ...overheadFigures("alone", alone.turns),
        ...overheadFigures(many, together.turns),
        { name: `${many}: server, cores busy`, value: together.coresBusy },
        wholeFigure("alone, small deltas", small.turns),
        wholeFigure("alone, large deltas", large.turns),
        wholeFigure(`${many}, small deltas`, together.turns),
      ];
    },
  };
}

/** A turn as its client saw it, and what the providers did for it. */
type HeardTurn = { readonly turn: Turn; readonly marks: TurnMarks };

type Hearing = { readonly turns: readonly HeardTurn[]; readonly coresBusy: number };

async function hear({ server }: Scene, run: () => Promise<readonly Turn[]>): Promise<Hearing> {
  const before = await server.read();
  const turns = await run();
  const after = (await server.read()) as PipelineReading;
  const withMarks = (turn: Turn): HeardTurn => {
    const marks = after.marks[turn.prompt];
    if (!marks) throw new Error(`turn ${turn.prompt} did not reach the model`);
    return { turn, marks };
  };
  const coresBusy = (after.cpuMs - before.cpuMs) / (after.atMs - before.atMs);
  return { turns: turns.map(withMarks), coresBusy };
}

/** Two whole turns on each device; answers the second ones: by then the code is compiled. */
async function runTogether(
  devices: readonly Device[],
  signal: AbortSignal,
): Promise<readonly Turn[]> {
  const run = async (device: Device, index: number) => {
    await sleep((index * SPREAD_MS) / devices.length, undefined, { signal });
    await talk(device, { prompt: nextPrompt() }, signal);
    return await talk(device, { prompt: nextPrompt() }, signal);
  };
  const turns = await Promise.all(devices.map(run));
  throwIfAborted(signal);
  checkReplies(turns, plan);
  return turns;
}

/** One turn after the other for so long, at least one; each is left at its first audio. */
async function runAlone(
  [device]: readonly Device[],
  durationMs: number,
  signal: AbortSignal,
): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  const lastMs = nowMs() + durationMs;
  while (device && (turns.length === 0 || nowMs() < lastMs)) {
    const leaving = new AbortController();
    const start = { prompt: nextPrompt(), onAudio: () => leaving.abort() };
    turns.push(await talk(device, start, AbortSignal.any([signal, leaving.signal])));
    throwIfAborted(signal);
  }
  return turns;
}

async function runWhole(
  devices: readonly Device[],
  style: Style,
  signal: AbortSignal,
): Promise<readonly Turn[]> {
  const ask = (device: Device) => talk(device, { prompt: promptOf(style, nextPrompt()) }, signal);
  const turns = await Promise.all(devices.slice(0, 1).map(ask));
  throwIfAborted(signal);
  checkReplies(turns, plan);
  return turns;
}

function overheadFigures(name: string, all: readonly HeardTurn[]): readonly Figure[] {
  const figure = (what: string, share: number, measure: (one: HeardTurn) => number): Figure => ({
    name: `${name}: ${what}, p${share * 100}, ms`,
    value: percentile(all.map(measure), share),
  });
  return [
    figure("overhead to first audio", 0.5, overheadMs),
    figure("overhead to first audio", 0.99, overheadMs),
    figure("request to model", 0.5, ({ turn, marks }) => marks.calledMs - turn.begunMs),
    figure("end of sentence to voice", 0.5, ({ marks }) => first(marks.askedMs) - endMs(marks)),
    figure("sound to client", 0.5, ({ turn, marks }) => first(turn.audioMs) - first(marks.soundMs)),
  ];
}

/** What a turn took to its first audio beyond its critical path. */
function overheadMs({ turn, marks }: HeardTurn): number {
  return firstAudioAfterMs(turn) - (endMs(marks) - marks.calledMs) - FIRST_SOUND_MS;
}

/** When it was to be seen that the first sentence had ended: the second one began. */
function endMs({ deltasMs }: TurnMarks): number {
  return deltasMs[deltasPerSentence["small deltas"]] ?? Number.NaN;
}

function first(times: readonly number[]): number {
  return times[0] ?? Number.NaN;
}

function wholeFigure(name: string, all: readonly HeardTurn[]): Figure {
  const shares = all.map(({ turn, marks }) => {
    const lastAudioMs = turn.audioMs.at(-1) ?? Number.NaN;
    const lastDeltaMs = marks.deltasMs.at(-1) ?? Number.NaN;
    return (lastAudioMs - turn.begunMs) / (lastDeltaMs - marks.calledMs + FIRST_SOUND_MS);
  });
  return { name: `whole reply, ${name}, ÷ critical path, p50`, value: percentile(shares, 0.5) };
}
