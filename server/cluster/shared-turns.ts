import { deviceKey } from "./device-keys.ts";
import type { RedisConnection, RedisScript } from "./redis-contract.ts";
import {
  type Attached,
  type Followed,
  LEASE_MS,
  type OwnerView,
  type OwnerWrite,
  type SharedTurns,
  type StoredChunk,
  type TakenTurn,
  type TurnName,
} from "./shared-turns-contract.ts";
import * as scripts from "./turn-scripts.ts";

/** How long a turn is kept that nobody touches: longer than it waits for its client. */
const KEEP_MS = 35_000;
/** How long a reader counts as there. It says so itself when it leaves. */
const READER_MS = 10_000;
/** Chunks that are read at once: about 1 s of sound. */
const CHUNKS_A_READ = 11;
/** More than any turn keeps. */
const MAX_CHUNKS = 100_000;

type Answer = readonly (string | number)[];
type RawEntry = [Buffer, Buffer[]];

/** Makes them. Nothing is asked of Redis before the first call. */
export function createSharedTurns(redis: RedisConnection): SharedTurns {
  return new RedisTurns(redis);
}

class RedisTurns implements SharedTurns {
  readonly #redis: RedisConnection;
  readonly #run: ReturnType<typeof createScripts>;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#run = createScripts(redis);
  }

  async open(name: TurnName, request: string): Promise<boolean> {
    const { turn, turns } = keysOf(name);
    const args = [idOf(name), request, LEASE_MS, READER_MS, KEEP_MS];
    return Number(await this.#run.open([turn, turns, ...args])) === 1;
  }

  async write(name: TurnName, epoch: number, write: OwnerWrite): Promise<OwnerView> {
    const { turn, chunks } = keysOf(name);
    const { after, sent, first, progress = "", end = "" } = write;
    const args = [epoch, LEASE_MS, KEEP_MS, after, sent, first, progress, end];
    const added = write.chunks?.map(toBuffer) ?? [];
    return toView((await this.#run.write([turn, chunks, ...args, ...added])) as Answer);
  }

  async attach(name: TurnName, after: number): Promise<Attached> {
    const { turn, chunks } = keysOf(name);
    const answer = await this.#run.attach([turn, chunks, after, READER_MS]);
    const [state, value] = answer as Answer;
    if (state === "ok") return { state, token: Number(value) };
    if (state === "gone" || state === "unsent") return { state, bound: Number(value) };
    return { state: state === "interrupted" ? state : "unknown" };
  }

  async follow(name: TurnName, token: number, taken: number): Promise<Followed> {
    const { turn, chunks } = keysOf(name);
    // Both go out together; Redis answers them in order.
    const [answer, entries] = await Promise.all([
      this.#run.follow([turn, chunks, token, taken, READER_MS, KEEP_MS]) as Promise<Answer>,
      this.#read(chunks, taken, CHUNKS_A_READ),
    ]);
    const [state, sent, isOwned, end = ""] = answer;
    if (state === "interrupted" || state === "replaced") return { state };
    if (state !== "ok") return { state: "unknown" };
    return {
      state,
      chunks: entries.filter(({ sequence }) => sequence <= Number(sent)),
      isOwned: Number(isOwned) === 1,
      end: String(end),
    };
  }

  async detach(name: TurnName, token: number): Promise<void> {
    await this.#run.detach([keysOf(name).turn, token]);
  }

  async progress(name: TurnName): Promise<string> {
    const { turn } = keysOf(name);
    return (await this.#redis.run((client) => client.hget(turn, "progress"))) ?? "";
  }

  async take(name: TurnName): Promise<TakenTurn | undefined> {
    const { turn, chunks } = keysOf(name);
    const answer = (await this.#run.take([turn, chunks, LEASE_MS, KEEP_MS])) as Answer;
    const [state, epoch, request, progress, sent, token] = answer;
    if (state !== "ok") return undefined;
    return {
      epoch: Number(epoch),
      token: Number(token),
      request: String(request),
      progress: String(progress),
      sent: Number(sent),
      chunks: await this.#read(chunks, 0, MAX_CHUNKS),
    };
  }

  async release(name: TurnName, epoch: number): Promise<void> {
    await this.#run.release([keysOf(name).turn, epoch]);
  }

  async forget(name: TurnName, epoch: number): Promise<boolean> {
    const { turn, chunks } = keysOf(name);
    return Number(await this.#run.forget([turn, chunks, epoch])) === 1;
  }

  async report(name: TurnName, samples: number): Promise<boolean> {
    return Number(await this.#run.report([keysOf(name).turn, samples])) === 1;
  }

  async drop(deviceId: string, upTo?: string): Promise<readonly string[]> {
    const { turns, turn, chunks } = keysOf({ deviceId, turnId: "" });
    const id = upTo?.toLowerCase() ?? "";
    return (await this.#run.drop([turns, turn, chunks, KEEP_MS, id])) as readonly string[];
  }

  async #read(chunks: string, after: number, count: number): Promise<readonly StoredChunk[]> {
    const entries = await this.#redis.run((client) =>
      client.xrangeBuffer(chunks, `${after + 1}-0`, "+", "COUNT", count),
    );
    return (entries as unknown as RawEntry[]).map(toChunk);
  }
}

function createScripts(redis: RedisConnection) {
  const script = (lua: string, keys: number): RedisScript => redis.script(lua, keys);
  return {
    open: script(scripts.OPEN, 2),
    write: script(scripts.WRITE, 2),
    attach: script(scripts.ATTACH, 2),
    follow: script(scripts.FOLLOW, 2),
    detach: script(scripts.DETACH, 1),
    take: script(scripts.TAKE, 2),
    release: script(scripts.RELEASE, 1),
    forget: script(scripts.FORGET, 2),
    report: script(scripts.REPORT, 1),
    drop: script(scripts.DROP, 1),
  };
}

function keysOf(turn: TurnName) {
  const { deviceId } = turn;
  return {
    turn: deviceKey(deviceId, `turn:${idOf(turn)}`),
    chunks: deviceKey(deviceId, `chunks:${idOf(turn)}`),
    turns: deviceKey(deviceId, "turns"),
  };
}

/** UUIDs are the same in either case. */
function idOf({ turnId }: TurnName): string {
  return turnId.toLowerCase();
}

function toView([state, token, taken, isRead, reported, first]: Answer): OwnerView {
  if (state === "lost" || state === "interrupted") return { state };
  if (state !== "ok") return { state: "unknown" };
  return {
    state,
    token: Number(token),
    isRead: Number(isRead) === 1,
    taken: Number(taken),
    ...(Number(reported) >= 0 && { reported: Number(reported) }),
    first: Number(first),
  };
}

function toChunk([id, fields]: RawEntry): StoredChunk {
  return { sequence: Number.parseInt(id.toString(), 10), bytes: fields[1] as Buffer };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
