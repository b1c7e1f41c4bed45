import { nowMs } from "../clock.ts";
import { type Device, openDevice } from "../device.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import { begin, type Stream } from "./barge-in.ts";
import type { Scenario } from "./scenario.ts";

/** A minute and a half of real time: longer than the measurement, so that no stream ends by itself. */
const plan: ReplyPlan = { sentences: 1, framesPerSentence: 1000, frameMs: 96, paced: true };

/** How soon an interrupt reaches a turn that another gateway runs. */
export function cluster(size: Size): Scenario {
  const count = size.wire.bargeInStreams;
  return {
    title: "Interrupts across gateways",
    about: `${count} streams of 96 ms frames in real time on one gateway; one after the other is interrupted and begun anew. Two: the interrupt is asked of a second gateway, which reaches the first through Redis (redis-server on the same machine). With Redis a turn takes its place in its device's sequence before its model is asked.`,
    variants: [
      { name: "two", server: "cluster-gateway", protocol: "gRPC" },
      // Watched as those of the other variant are.
      { name: "one", server: "gateway", protocol: "gRPC", settings: {} },
    ],
    repeats: size.repeats,
    plan,
    async measure({ server, open, signal }) {
      const [url = server.url] = server.others;
      const asking = await openDevice(url, { id: "asking", protocol: "gRPC" }, signal);
      const beginMs: number[] = [];
      const start = async (device: Device): Promise<Stream> => {
        const askedMs = nowMs();
        const stream = await begin(device, signal);
        beginMs.push(nowMs() - askedMs);
        return stream;
      };
      try {
        const streams = await Promise.all((await open(count)).map(start));
        beginMs.length = 0;
        const rounds = [];
        for (const [index, { device, ended }] of streams.entries()) {
          rounds.push(await interrupt(asking, device.id, ended));
          streams[index] = await start(device);
        }
        for (const stream of streams) stream.cancel();
        await Promise.all(streams.map(({ ended }) => ended));
        const closedMs = rounds.map((round) => round.closedMs);
        const answeredMs = rounds.map((round) => round.answeredMs);
        const inTime = rounds.filter(({ unacknowledged }) => unacknowledged === 0);
        return [
          { name: "InterruptSession to stream closed, p50, ms", value: percentile(closedMs, 0.5) },
          { name: "InterruptSession to stream closed, p99, ms", value: percentile(closedMs, 0.99) },
          { name: "InterruptSession to its answer, p99, ms", value: percentile(answeredMs, 0.99) },
          { name: "time to first audio, p50, ms", value: percentile(beginMs, 0.5) },
          {
            name: "acknowledged in time (more is better), %",
            value: (100 * inTime.length) / count,
          },
        ];
      } finally {
        asking.close();
      }
    },
  };
}

async function interrupt(asking: Device, hardwareId: string, ended: Stream["ended"]) {
  const askedMs = nowMs();
  const answer = asking.client.interruptSession({ hardwareId });
  const answered = answer.then(() => nowMs());
  const [{ endedMs }, answeredAtMs, { unacknowledged }] = await Promise.all([
    ended,
    answered,
    answer,
  ]);
  return { closedMs: endedMs - askedMs, answeredMs: answeredAtMs - askedMs, unacknowledged };
}
