import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { limitTime } from "../server/core/time-limit.ts";
import { type Device, openDevice } from "./device.ts";
import { nextPrompt, talk } from "./load.ts";

/** What makes faults: random numbers from 0 to 1, and the gateway that suffers them. */
export type Faults = {
  readonly random: () => number;
  readonly url: string;
  /** Fires when it is enough. */
  readonly until: AbortSignal;
  /** Called with the name of each misdeed that was done. */
  readonly onMisdeed: (name: string) => void;
};

/** A reader that takes nothing is cut off after 10 s. */
const STALL_MS = 12_000;
const MAX_PAUSE_MS = 1500;

/** Numbers from 0 to 1 that are the same for the same seed: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One client that misbehaves, at random, until it is enough. */
export async function misbehave(id: string, faults: Faults): Promise<void> {
  const { random, until, onMisdeed } = faults;
  const kinds = Object.entries(misdeeds);
  while (!until.aborted) {
    const device = await openDevice(faults.url, { id, protocol: "gRPC" }, until);
    const [name, misdeed] = kinds[Math.floor(random() * kinds.length)] ?? [];
    await misdeed?.(device, faults).catch(() => undefined);
    device.close();
    if (name) onMisdeed(name);
  }
}

const pause = ({ random, until }: Faults) =>
  sleep(random() * MAX_PAUSE_MS, undefined, { signal: until });

/** Each ends when its client has done its worst. What the gateway answers is not read. */
const misdeeds = {
  async cancel(device: Device, faults: Faults) {
    const { signal } = limitTime(faults.until, 1 + faults.random() * MAX_PAUSE_MS);
    await talk(device, { prompt: nextPrompt() }, signal);
  },
  /** The connection goes in the middle of a turn. */
  async vanish(device: Device, faults: Faults) {
    const turn = talk(device, { prompt: nextPrompt() }, faults.until);
    turn.catch(() => undefined);
    await pause(faults);
    device.close();
  },
  async interrupt(device: Device, faults: Faults) {
    const turn = talk(device, { prompt: nextPrompt() }, faults.until);
    await pause(faults);
    await device.client.interruptSession({ hardwareId: device.id });
    await turn;
  },
  /** A client that reads one message and no more. */
  async stall(device: Device, { until }: Faults) {
    const request = { prompt: nextPrompt(), hardwareId: device.id };
    await device.client.streamAudio(request, { signal: until })[Symbol.asyncIterator]().next();
    await sleep(STALL_MS, undefined, { signal: until });
  },
  /** Bytes that are no protocol. */
  async garbage(_device: Device, { random, url, until }: Faults) {
    const { hostname: host, port } = new URL(url);
    const socket = connect({ host, port: Number(port), signal: until });
    socket.on("error", () => undefined);
    socket.end(Buffer.from(Array.from({ length: 200 }, () => Math.floor(random() * 256))));
    await sleep(100, undefined, { signal: until });
    socket.destroy();
  },
  async badRequest(device: Device) {
    await device.client
      .streamAudio({ prompt: "", hardwareId: device.id })
      [Symbol.asyncIterator]()
      .next();
  },
} as const;
