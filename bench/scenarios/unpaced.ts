import type { Reading } from "../child.ts";
import { nowMs } from "../clock.ts";
import { checkReplies, type Turn, talkFor } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import {
  type Figure,
  gatewayAndPeer,
  gatewayProtocols,
  type Scenario,
  type Scene,
} from "./scenario.ts";

const MEBIBYTE = 1024 * 1024;

/** 9.6 s of audio: about what an assistant says in a turn. */
const plan: ReplyPlan = { sentences: 4, framesPerSentence: 25, frameMs: 96, paced: false };

/** Whole replies as fast as they go: what a stream costs. */
export function unpaced(size: Size): Scenario {
  return {
    title: "Replies as fast as they go",
    about: `${size.streams} clients, each runs one turn after the other for ${size.unpacedMs / 1000} s. A reply is 9.6 s of audio in chunks of 9,216 bytes (96 ms), 4 sentences. Growth: how much larger the process was at its peak than with one client, divided by the clients.`,
    variants: gatewayAndPeer,
    repeats: size.repeats,
    plan,
    async measure(scene) {
      const { turns, before, after, seconds, idleRssBytes, loadCpuMs } = await run(scene, size);
      const growthBytes = (after.peakRssBytes - idleRssBytes) / size.streams;
      return [
        { name: "streams a second (more is better)", value: turns.length / seconds },
        cpuAStream(turns, before, after),
        { name: "server, cores busy", value: (after.cpuMs - before.cpuMs) / 1000 / seconds },
        { name: "load, cores busy", value: loadCpuMs / 1000 / seconds },
        { name: "peak RSS, MiB", value: after.peakRssBytes / MEBIBYTE },
        { name: "RSS growth a stream, MiB", value: growthBytes / MEBIBYTE },
      ];
    },
  };
}

/** The same over each protocol. */
export function protocols(size: Size): Scenario {
  return {
    title: "The same in each protocol",
    about: `As above for ${size.protocolMs / 1000} s each, once, always over HTTP/2.`,
    variants: gatewayProtocols,
    repeats: 1,
    plan,
    async measure(scene) {
      const { turns, before, after } = await run(scene, { ...size, unpacedMs: size.protocolMs });
      return [cpuAStream(turns, before, after)];
    },
  };
}

function cpuAStream(turns: readonly Turn[], before: Reading, after: Reading): Figure {
  return { name: "server CPU a stream, ms", value: (after.cpuMs - before.cpuMs) / turns.length };
}

type Run = {
  readonly turns: readonly Turn[];
  readonly before: Reading;
  readonly after: Reading;
  readonly seconds: number;
  /** With everything loaded and compiled, and one client. */
  readonly idleRssBytes: number;
  readonly loadCpuMs: number;
};

async function run({ server, open, signal }: Scene, size: Size): Promise<Run> {
  checkReplies(await talkFor(await open(1), size.warmUpMs, signal), plan);
  const { rssBytes: idleRssBytes } = await server.read();
  const devices = await open(size.streams);
  const before = await server.read();
  const loadBefore = process.cpuUsage();
  const begunMs = nowMs();
  const turns = await talkFor(devices, size.unpacedMs, signal);
  const seconds = (nowMs() - begunMs) / 1000;
  const { user, system } = process.cpuUsage(loadBefore);
  const after = await server.read();
  checkReplies(turns, plan);
  return { turns, before, after, seconds, idleRssBytes, loadCpuMs: (user + system) / 1000 };
}
