// `npm run bench:soak`: streams in real time for minutes, in turn from the gateway and from the peer.
// Fails if sound comes unevenly, or if the gateway's memory grows.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { limitTime } from "../server/core/time-limit.ts";
import { nextPrompt } from "./load.ts";
import { type ReplyPlan, SAMPLE_RATE_HZ } from "./reply.ts";
import { type BenchServer, type ServerKind, startServer } from "./server.ts";
import { createRandom, misbehave } from "./soak-faults.ts";
import { gaps, percentile, slope } from "./stats.ts";
import { type Listener, openListener } from "./wire/listener.ts";

const FRAME_MS = 32;
/** The samples of a chunk; its message is longer. */
const CHUNK_BYTES = FRAME_MS * (SAMPLE_RATE_HZ / 1000) * 2;
const TURN_SECONDS = 4.8;
/** The servers take turns, so that what slows the machine for a while slows both. */
const SLICE_SECONDS = 30;

const MAX_GAP_P999_MS = 60;
const MAX_GAP_RATIO = 1.5;
const MAX_MB_A_MINUTE = 0.5;
/** Until then the server's code is compiled and its heap has its size. */
const WARM_UP_SHARE = 1 / 3;

const plan: ReplyPlan = {
  sentences: 1,
  framesPerSentence: (TURN_SECONDS * 1000) / FRAME_MS,
  frameMs: FRAME_MS,
  paced: true,
};

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "300" },
    streams: { type: "string", default: "100" },
    faults: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    "report-only": { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const streams = Number(values.streams);
const random = createRandom(Number(values.seed));
/** How often each misdeed was done, by its name. */
const misdeeds: Record<string, number> = {};
const onMisdeed = (name: string) => {
  misdeeds[name] = (misdeeds[name] ?? 0) + 1;
};
const stopped = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => stopped.abort(new Error("stopped")));
}

/** One server and its clients, and what was measured of it. */
type Subject = {
  readonly kind: ServerKind;
  readonly server: BenchServer;
  readonly listeners: readonly Listener[];
  readonly gapsMs: number[];
  /** Memory by minutes of its own load. */
  readonly memory: { readonly x: number; readonly y: number }[];
  loadedMs: number;
};

async function open(kind: ServerKind): Promise<Subject> {
  const server = await startServer({ server: kind }, plan, stopped.signal);
  const ids = Array.from({ length: streams }, (_, index) => `device-${index}`);
  const listeners = await Promise.all(ids.map((id) => openListener(server.url, id)));
  return { kind, server, listeners, gapsMs: [], memory: [], loadedMs: 0 };
}

/** The gaps between the chunks of a turn. Text and the end's message are shorter than any chunk. */
async function hearTurn(listener: Listener): Promise<readonly number[]> {
  const heard = await listener.listen(nextPrompt(), stopped.signal);
  const chunks = heard.filter(({ bytes }) => bytes > CHUNK_BYTES);
  if (chunks.length !== plan.framesPerSentence) throw new Error("a reply was not whole");
  return gaps(chunks.map(({ atMs }) => atMs));
}

/** Lets all listen, turn after turn, for one slice. Throws if a reply is not whole. */
async function runSlice(subject: Subject, sliceMs: number): Promise<void> {
  const { server, listeners } = subject;
  const startMs = performance.now();
  const { signal: until } = limitTime(stopped.signal, sliceMs);
  const listen = async (listener: Listener, index: number) => {
    // Spread over a turn's time, as clients of a live server are: else all turns begin at once.
    await sleep((index * TURN_SECONDS * 1000) / listeners.length);
    // One gap after the other: a slice has too many for the arguments of a call.
    do for (const gap of await hearTurn(listener)) subject.gapsMs.push(gap);
    while (!until.aborted);
  };
  const watch = async () => {
    while (!until.aborted) {
      await sleep(1000);
      const { rssBytes } = await server.read();
      const x = (subject.loadedMs + performance.now() - startMs) / 60_000;
      subject.memory.push({ x, y: rssBytes / 1e6 });
    }
  };
  const isRogue = values.faults && subject.kind === "gateway";
  const rogues = Array.from({ length: isRogue ? Math.ceil(streams / 5) : 0 }, (_, index) =>
    // One that the slice's end stops may fail by that.
    misbehave(`rogue-${index}`, { random, url: server.url, until, onMisdeed }).catch(
      () => undefined,
    ),
  );
  await Promise.all([...listeners.map(listen), watch(), ...rogues]);
  subject.loadedMs += performance.now() - startMs;
}

function figuresOf({ kind, gapsMs, memory }: Subject) {
  const steady = memory.slice(Math.floor(memory.length * WARM_UP_SHARE));
  const round = (value: number) => Math.round(value * 100) / 100;
  return {
    server: kind,
    gaps: gapsMs.length,
    p50Ms: round(percentile(gapsMs, 0.5)),
    p999Ms: round(percentile(gapsMs, 0.999)),
    maxMs: round(percentile(gapsMs, 1)),
    memoryMb: Math.round(steady.at(-1)?.y ?? 0),
    mbAMinute: round(slope(steady)),
  };
}

type Figures = ReturnType<typeof figuresOf>;

function findFailures(gateway: Figures, peer: Figures): readonly string[] {
  const failures: string[] = [];
  if (gateway.p999Ms > MAX_GAP_P999_MS) {
    failures.push(`gap p99.9 ${gateway.p999Ms} ms is above ${MAX_GAP_P999_MS} ms`);
  }
  const maxMs = peer.maxMs * MAX_GAP_RATIO;
  if (gateway.maxMs > maxMs) {
    failures.push(`largest gap ${gateway.maxMs} ms is above ${maxMs.toFixed(1)} ms`);
  }
  if (gateway.mbAMinute >= MAX_MB_A_MINUTE) {
    failures.push(`memory grows by ${gateway.mbAMinute} MB a minute`);
  }
  return failures;
}

async function run(): Promise<readonly string[]> {
  const subjects = [await open("gateway"), await open("peer")];
  const sliceMs = Math.min(seconds, SLICE_SECONDS) * 1000;
  try {
    for (let leftMs = seconds * 1000; leftMs > 0; leftMs -= sliceMs) {
      for (const subject of subjects) await runSlice(subject, Math.min(sliceMs, leftMs));
      process.stderr.write(`${Math.round(leftMs / 1000)} s left of each server\n`);
    }
    const figures = subjects.map(figuresOf);
    for (const each of figures) process.stdout.write(`${JSON.stringify(each)}\n`);
    if (values.faults) process.stdout.write(`${JSON.stringify({ seed: values.seed, misdeeds })}\n`);
    const [gateway, peer] = figures;
    return gateway && peer ? findFailures(gateway, peer) : [];
  } finally {
    for (const { listeners } of subjects) for (const listener of listeners) listener.close();
    await Promise.all(subjects.map(({ server }) => server.stop()));
  }
}

try {
  const failures = await run();
  for (const failure of failures) process.stderr.write(`${failure}\n`);
  if (failures.length > 0 && !values["report-only"]) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`The soak ended early: ${String(error)}\n`);
  process.exitCode = 1;
}
