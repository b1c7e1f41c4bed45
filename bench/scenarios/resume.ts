import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { StreamResponse } from "../../gen/streaming/streaming_pb.ts";
import { LEASE_MS } from "../../server/cluster/shared-turns-contract.ts";
import { nowMs } from "../clock.ts";
import { type Device, openDevice } from "../device.ts";
import { nextPrompt } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import { type BenchServer, startServer } from "../server.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import type { Scenario } from "./scenario.ts";

/** In real time, so that a turn that is resumed still runs. */
const plan: ReplyPlan = { sentences: 1, framesPerSentence: 500, frameMs: 32, paced: true };
/** Chunks that a client has when it loses its connection. */
const CHUNKS = 10;
/** How long it takes to notice that. */
const AWAY_MS = 100;

/** How soon the rest of a turn comes. */
export function resume(size: Size): Scenario {
  return {
    title: "Turns that are resumed",
    about: `A turn in real time, in frames of 32 ms, on one of two gateways that share a Redis. Its client leaves after ${CHUNKS} chunks, and ${AWAY_MS} ms later calls with \`resume_after\`, over a new connection: the same gateway or the other one, ${size.resumes} times each; or at once the other one, after the first was killed (SIGKILL), ${size.kills} times. From that call to the next chunk. A gateway that was killed counts as alive for ${LEASE_MS} ms.`,
    variants: [{ name: "gateway", server: "resume-redis", protocol: "gRPC" }],
    repeats: 1,
    async measure({ server, signal }) {
      const gateway = { server: "gateway", settings: { REDIS_URL: server.url } } as const;
      const start = () => startServer(gateway, plan, signal);
      const [one, other] = await Promise.all([start(), start()]);
      const killed: number[] = [];
      try {
        // The first ones compile the code.
        for (const to of [one, other])
          await lose(one, signal).then((lost) => again(lost, to, signal));
        const same = await times(size.resumes, async () =>
          again(await lose(one, signal), one, signal),
        );
        const moved = await times(size.resumes, async () =>
          again(await lose(one, signal), other, signal),
        );
        for (let kill = 0; kill < size.kills; kill++)
          killed.push(await killOne(start, other, signal));
        return [
          { name: "same instance, p50, ms", value: percentile(same, 0.5) },
          { name: "same instance, max, ms", value: percentile(same, 1) },
          { name: "another instance, p50, ms", value: percentile(moved, 0.5) },
          { name: "another instance, max, ms", value: percentile(moved, 1) },
          { name: "after a kill, p50, ms", value: percentile(killed, 0.5) },
          { name: "after a kill, max, ms", value: percentile(killed, 1) },
        ];
      } finally {
        await Promise.all([one.stop(), other.stop()]);
      }
    },
  };
}

async function times(count: number, run: () => Promise<number>): Promise<readonly number[]> {
  const all: number[] = [];
  while (all.length < count) all.push(await run());
  return all;
}

/** A turn whose client has left. */
type Lost = { readonly request: ReturnType<typeof ask>; readonly last: StreamResponse };

const ask = () => ({
  prompt: nextPrompt(),
  hardwareId: `device-${randomUUID()}`,
  turnId: randomUUID(),
  resumable: true,
});

/** Reads the beginning of a turn, and leaves. */
async function lose(server: BenchServer, signal: AbortSignal): Promise<Lost> {
  const lost = await withDevice(server, signal, async ({ client }) => {
    const request = ask();
    return { request, last: await readChunks(client.streamAudio(request, { signal })) };
  });
  await sleep(AWAY_MS, undefined, { signal });
  return lost;
}

async function readChunks(messages: AsyncIterable<StreamResponse>): Promise<StreamResponse> {
  let chunks = 0;
  for await (const message of messages) {
    if (message.content.case === "audioChunk") chunks += 1;
    if (chunks >= CHUNKS) return message;
  }
  throw new Error("the turn ended early");
}

/** Milliseconds to the next chunk, the connection included. */
async function again({ request, last }: Lost, to: BenchServer, signal: AbortSignal) {
  const begunMs = nowMs();
  return await withDevice(to, signal, async ({ client }) => {
    const rest = { ...request, resumeAfter: last.sequence };
    for await (const { sequence } of client.streamAudio(rest, { signal })) {
      const afterMs = nowMs() - begunMs;
      if (sequence !== last.sequence + 1n)
        throw new Error(`${sequence} came after ${last.sequence}`);
      await client.interruptSession({ hardwareId: request.hardwareId }, { signal });
      return afterMs;
    }
    throw new Error("the turn did not go on");
  });
}

/** The next chunk is one that the other instance makes: of the turn's own there is none left. */
async function killOne(
  start: () => Promise<BenchServer>,
  other: BenchServer,
  signal: AbortSignal,
): Promise<number> {
  const victim = await start();
  const lost = await withDevice(victim, signal, async ({ client }) => {
    const request = ask();
    const messages = client.streamAudio(request, { signal })[Symbol.asyncIterator]();
    let last = await readChunks({
      [Symbol.asyncIterator]: () => ({ next: () => messages.next() }),
    });
    process.kill(victim.pid ?? 0, "SIGKILL");
    try {
      for (let step = await messages.next(); !step.done; step = await messages.next()) {
        last = step.value;
      }
    } catch {
      return { request, last };
    }
    throw new Error("the turn was not cut");
  });
  const ms = await again(lost, other, signal);
  await victim.stop();
  return ms;
}

async function withDevice<T>(
  { url }: BenchServer,
  signal: AbortSignal,
  use: (device: Device) => Promise<T>,
): Promise<T> {
  const device = await openDevice(url, { id: randomUUID(), protocol: "gRPC" }, signal);
  try {
    return await use(device);
  } finally {
    device.close();
  }
}
