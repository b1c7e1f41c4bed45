import { nowMs } from "../clock.ts";
import type { Device } from "../device.ts";
import { nextPrompt, type Turn, talk } from "../load.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import { gatewayAndPeer, type Scenario } from "./scenario.ts";

/** A minute and a half of real time: longer than the measurement, so that no stream ends by itself. */
const plan: ReplyPlan = { sentences: 1, framesPerSentence: 3000, frameMs: 32, paced: true };

/** How soon a stream falls silent. */
export function bargeIn(size: Size): Scenario {
  const count = size.streams * size.bargeInRounds;
  return {
    title: "Barge-in",
    about: `${size.streams} streams of 32 ms frames in real time; one after the other is ended and begun anew, ${count} times by InterruptSession and ${count} times by cancelling the RPC. The provider's signal is what stops the voice (the handler's own in the peer).`,
    variants: gatewayAndPeer,
    repeats: size.repeats,
    plan,
    async measure({ server, open, signal }) {
      const streams = await Promise.all(
        (await open(size.streams)).map((device) => begin(device, signal)),
      );
      await bargeInOnEach(streams, signal);
      const rounds: Round[] = [];
      while (rounds.length < size.bargeInRounds) rounds.push(await bargeInOnEach(streams, signal));
      const closedMs = rounds.flatMap((round) => round.closedMs);
      const cancelled = rounds.flatMap((round) => round.cancelled);
      const { cancelsMs } = await server.read();
      const firedMs = cancelled.map(({ turn, atMs }) => (cancelsMs[turn] ?? Number.NaN) - atMs);
      if (firedMs.some(Number.isNaN)) throw new Error("a cancel did not reach its provider");
      for (const stream of streams) stream.cancel();
      return [
        { name: "InterruptSession to stream closed, p50, ms", value: percentile(closedMs, 0.5) },
        { name: "InterruptSession to stream closed, p99, ms", value: percentile(closedMs, 0.99) },
        { name: "cancel to provider's signal, p50, ms", value: percentile(firedMs, 0.5) },
        { name: "cancel to provider's signal, p99, ms", value: percentile(firedMs, 0.99) },
      ];
    },
  };
}

/** A turn that is heard. */
export type Stream = { readonly device: Device; readonly ended: Promise<Turn>; cancel(): void };

type Cancelled = { readonly turn: string; readonly atMs: number };

type Round = { readonly closedMs: readonly number[]; readonly cancelled: readonly Cancelled[] };

/** Interrupts each stream and begins it anew, cancels it and begins it anew. */
async function bargeInOnEach(streams: Stream[], signal: AbortSignal): Promise<Round> {
  const closedMs: number[] = [];
  const cancelled: Cancelled[] = [];
  for (const [index, stream] of streams.entries()) {
    closedMs.push(await interrupt(stream));
    const next = await begin(stream.device, signal);
    cancelled.push(await cancel(next));
    streams[index] = await begin(stream.device, signal);
  }
  return { closedMs, cancelled };
}

/** Begins a turn, and waits until it is heard. */
export async function begin(device: Device, signal: AbortSignal): Promise<Stream> {
  const canceller = new AbortController();
  const heard = Promise.withResolvers<void>();
  const start = { prompt: nextPrompt(), onAudio: heard.resolve };
  const ended = talk(device, start, AbortSignal.any([signal, canceller.signal]));
  ended.then(() => heard.resolve(), heard.reject);
  await heard.promise;
  return { device, ended, cancel: () => canceller.abort() };
}

async function interrupt({ device, ended }: Stream): Promise<number> {
  const askedMs = nowMs();
  const [{ endedMs }] = await Promise.all([
    ended,
    device.client.interruptSession({ hardwareId: device.id }),
  ]);
  return endedMs - askedMs;
}

async function cancel(stream: Stream): Promise<Cancelled> {
  const atMs = nowMs();
  stream.cancel();
  const { prompt } = await stream.ended;
  return { turn: prompt, atMs };
}
