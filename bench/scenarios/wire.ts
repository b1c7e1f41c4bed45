import { setTimeout as sleep } from "node:timers/promises";
import type { ReplyPlan } from "../reply.ts";
import { SAMPLE_RATE_HZ } from "../reply.ts";
import type { BenchServer } from "../server.ts";
import type { Size } from "../size.ts";
import { gaps, percentile, sum } from "../stats.ts";
import { H2LOAD, runH2Load } from "../wire/h2load.ts";
import { type Heard, type Listener, openListener } from "../wire/listener.ts";
import { pinToCores, unpin } from "../wire/pin.ts";
import { canRun, PYTHON } from "../wire/python.ts";
import { bargeIn } from "./barge-in.ts";
import { firstAudio } from "./first-audio.ts";
import type { Figure, Scenario, Scene, Variant } from "./scenario.ts";

const MEBIBYTE = 1024 * 1024;
const KIBIBYTE = 1024;
const REFERENCE = "@grpc/grpc-js";
const FRAME_MS = 96;

/** Streams in real time begin one after the other, so many a second: a call costs more than a chunk. */
const BEGINNINGS_A_SECOND = 100;
/** From here on they are measured: all have begun. */
const SETTLE_MS = 1920;

const peers: readonly Variant[] = [
  { name: "Parley", server: "gateway", protocol: "gRPC" },
  { name: "node:http2", server: "wire/raw-http2", protocol: "gRPC" },
  { name: REFERENCE, server: "wire/grpc-js", protocol: "gRPC" },
  { name: "connect-node", server: "peer", protocol: "gRPC" },
  { name: "python grpc.aio", server: "wire/grpc-aio", protocol: "gRPC" },
];

/** The gateway on the wire beside servers that send the same frames. */
export function wire(size: Size): readonly Scenario[] {
  const present = presentPeers();
  // A run that only shows that the bench works starts each server once.
  const frames = size.wire.repeats > 1 ? [FRAME_MS, 32] : [FRAME_MS];
  return [
    ...(hasH2Load() ? frames.map((frameMs) => fullSpeed(size, present, frameMs)) : []),
    realTime(size, size.wire.repeats > 1 ? present : present.slice(0, 3)),
    // An odd number of rounds, or one stall of the machine would be half of the figure.
    { ...bargeIn({ ...size, streams: size.wire.bargeInStreams }), title: "Wire: barge-in" },
    {
      ...firstAudio({ ...size, streams: size.wire.firstAudioStreams }, 1000),
      title: "Wire: overhead to first audio",
    },
  ];
}

/** The first scenario with the gateway and the reference alone, for the gate. */
export function wireGate(size: Size): Scenario {
  if (!hasH2Load()) throw new Error("the gate needs h2load");
  const both = peers.filter(({ name }) => name === "Parley" || name === REFERENCE);
  return fullSpeed(size, both, FRAME_MS);
}

function hasH2Load(): boolean {
  const isPresent = canRun(H2LOAD, ["--version"]);
  if (!isPresent) {
    process.stderr.write("SKIPPED: h2load is not here (Debian: apt install nghttp2-client)\n");
  }
  return isPresent;
}

function presentPeers(): readonly Variant[] {
  if (canRun(PYTHON, ["-c", "import grpc, google.protobuf"])) return peers;
  process.stderr.write(
    "SKIPPED: python grpc.aio is not here (Debian: apt install python3-grpcio python3-protobuf)\n",
  );
  return peers.filter(({ server }) => server !== "wire/grpc-aio");
}

/** Replies of 48 s: long enough that the chunks cost, and not the calls. */
function fullSpeed(size: Size, variants: readonly Variant[], frameMs: number): Scenario {
  const { streams, seconds, requests } = size.wire;
  const framesPerSentence = Math.floor((seconds * 1000) / frameMs / 10);
  const plan: ReplyPlan = { sentences: 10, framesPerSentence, frameMs, paced: false };
  return {
    title: `Wire: full speed, chunks of ${frameMs} ms`,
    about: `h2load, ${streams} streams at once, each on a connection of its own or all over ${size.wire.connections}, ${requests} replies of ${seconds} s of audio in ${plan.sentences * framesPerSentence} chunks of ${chunkBytes(frameMs)} bytes, as fast as they go. ÷ is the median of each round's ratio to ${REFERENCE}.`,
    variants,
    reference: REFERENCE,
    repeats: size.wire.repeats,
    plan,
    measure: ({ server, signal }) => measureFullSpeed(server, { size, plan }, signal),
  };
}

const chunkBytes = (frameMs: number) => (SAMPLE_RATE_HZ * frameMs * 2) / 1000;

async function measureFullSpeed(
  server: BenchServer,
  { size, plan }: { readonly size: Size; readonly plan: ReplyPlan },
  signal: AbortSignal,
): Promise<readonly Figure[]> {
  const { streams, requests, warmUpRequests } = size.wire;
  const { url } = server;
  const replyBytes = await checkReply(url, plan, signal);
  const measure = async (connections: number) => {
    const before = await server.read();
    const bytes = await runH2Load({ url, requests, streams, connections }, signal);
    const after = await server.read();
    if (bytes !== requests * replyBytes) throw new Error(`h2load read ${bytes} bytes`);
    const chunks = requests * plan.sentences * plan.framesPerSentence;
    const value = ((after.cpuMs - before.cpuMs) * 1000) / chunks;
    return { value, peakMebibytes: after.peakRssBytes / MEBIBYTE };
  };
  await runH2Load({ url, requests: warmUpRequests, streams, connections: streams }, signal);
  const alone = await measure(streams);
  const shared = await measure(size.wire.connections);
  const peak = Math.max(alone.peakMebibytes, shared.peakMebibytes);
  return [
    { name: "server CPU a chunk, µs", value: alone.value, compared: true },
    {
      name: `server CPU a chunk over ${size.wire.connections} connections, µs`,
      value: shared.value,
      compared: true,
    },
    { name: "peak RSS, MiB", value: peak },
  ];
}

/** Throws unless the server sends exactly the plan's chunks. Answers the bytes of a reply. */
async function checkReply(url: string, plan: ReplyPlan, signal: AbortSignal): Promise<number> {
  const listener = await openListener(url, "device-0");
  const heard = await listener.listen("1", signal);
  listener.close();
  const chunks = soundOf(heard, plan).length;
  if (chunks !== plan.sentences * plan.framesPerSentence) {
    throw new Error(`the reply had ${chunks} chunks`);
  }
  return sum(heard.map(({ bytes }) => bytes + 5));
}

/** When the chunks came. Text and the end's message are shorter than any chunk. */
function soundOf(heard: readonly Heard[], { frameMs }: ReplyPlan): readonly number[] {
  return heard.filter(({ bytes }) => bytes > chunkBytes(frameMs)).map(({ atMs }) => atMs);
}

/** Streams in real time, the server on one core and the load on the other. */
function realTime(size: Size, variants: readonly Variant[]): Scenario {
  const { pacedCounts, pacedMs } = size.wire;
  const last = pacedCounts.at(-1) ?? 0;
  const framesPerSentence = Math.floor((beginMs(last) + pacedMs) / FRAME_MS);
  const plan: ReplyPlan = { sentences: 1, framesPerSentence, frameMs: FRAME_MS, paced: true };
  return {
    title: "Wire: streams in real time",
    about: `${pacedCounts.join(", ")} listeners at once, each on a connection of its own, hear chunks of ${FRAME_MS} ms that are made when their time has come. ${BEGINNINGS_A_SECOND} begin a second; from ${SETTLE_MS / 1000} s after the last, ${(pacedMs - SETTLE_MS) / 1000} s are measured. The server has one core, the load the other. A gap is the time between two chunks of a stream, less ${FRAME_MS} ms. Memory: the peak beyond the idle server, by stream. A row of ${last} streams in which the load was busier than 0.80 cores says nothing.`,
    variants,
    reference: REFERENCE,
    // Each takes a minute.
    repeats: Math.min(3, size.wire.repeats),
    plan,
    async measure({ server, signal }) {
      pinToCores(server);
      const idle = await server.read();
      const listeners: Listener[] = [];
      const figures: Figure[] = [];
      try {
        await listenOnce(await connect(listeners, server.url, 1), plan, signal);
        for (const count of pacedCounts) {
          await connect(listeners, server.url, count - listeners.length);
          const measuredMs = pacedMs - SETTLE_MS - FRAME_MS;
          figures.push(
            ...(await measureRealTime(listeners, { server, signal, plan, measuredMs, idle })),
          );
        }
        return figures;
      } finally {
        for (const listener of listeners) listener.close();
        unpin();
      }
    },
  };
}

async function connect(listeners: Listener[], url: string, count: number) {
  for (let index = 0; index < count; index++) {
    listeners.push(await openListener(url, `device-${listeners.length}`));
  }
  return listeners;
}

type RealTime = Pick<Scene, "server" | "signal"> & {
  readonly plan: ReplyPlan;
  readonly measuredMs: number;
  readonly idle: { readonly rssBytes: number };
};

async function measureRealTime(
  listeners: readonly Listener[],
  { server, signal, plan, measuredMs, idle }: RealTime,
): Promise<readonly Figure[]> {
  const streams = `${listeners.length} streams`;
  const listening = listenOnce(listeners, plan, signal);
  listening.catch(() => undefined);
  await sleep(beginMs(listeners.length) + SETTLE_MS, undefined, { signal });
  const before = await server.read();
  const loadBefore = process.cpuUsage();
  await sleep(measuredMs, undefined, { signal });
  const { user, system } = process.cpuUsage(loadBefore);
  const after = await server.read();
  const tookMs = after.atMs - before.atMs;
  const heard = await listening;
  if (sum(heard.map(({ length }) => length)) !== listeners.length * plan.framesPerSentence) {
    throw new Error("a stream was not whole");
  }
  const measured = heard.map((atMs) =>
    atMs.filter((each) => each >= before.atMs && each < after.atMs),
  );
  const late = measured.flatMap((atMs) => gaps(atMs)).map((gapMs) => gapMs - plan.frameMs);
  const chunks = sum(measured.map(({ length }) => length));
  const grownBytes = after.peakRssBytes - idle.rssBytes;
  return [
    { name: `${streams}: gap p99 beyond the chunk, ms`, value: percentile(late, 0.99) },
    {
      name: `${streams}: memory a stream, KiB`,
      value: grownBytes / KIBIBYTE / listeners.length,
    },
    {
      name: `${streams}: server CPU a chunk, µs`,
      value: ((after.cpuMs - before.cpuMs) * 1000) / chunks,
      compared: true,
    },
    { name: `${streams}: load, cores busy`, value: (user + system) / 1000 / tookMs },
  ];
}

let turns = 0;

/** How long so many listeners take to begin. */
const beginMs = (listeners: number) => (1000 * listeners) / BEGINNINGS_A_SECOND;

/** Every listener runs one turn. Answers when each one's chunks came. */
async function listenOnce(
  listeners: readonly Listener[],
  plan: ReplyPlan,
  signal: AbortSignal,
): Promise<readonly (readonly number[])[]> {
  const listen = async (listener: Listener, index: number) => {
    await sleep(beginMs(index), undefined, { signal });
    turns += 1;
    return soundOf(await listener.listen(String(turns), signal), plan);
  };
  return await Promise.all(listeners.map(listen));
}
