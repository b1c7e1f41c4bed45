import { randomUUID } from "node:crypto";
import { TurnCancelled } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import { deviceKey } from "./device-keys.ts";
import { ANSWER_MS, createInterruptBus, INTERRUPTS, type InterruptBus } from "./interrupt-bus.ts";
import { createMissedInterrupts } from "./missed-interrupts.ts";
import type { Redis } from "./redis-contract.ts";
import { createRegistryScripts } from "./registry-scripts.ts";
import type {
  ArrivingTurn,
  EndedElsewhere,
  EndedTurns,
  LocalTurns,
  RemoteInterrupt,
  TurnPlace,
  TurnRegistry,
} from "./turn-registry.ts";

/** How many turns all instances together may run, and how long sessions last. */
export type SharedLimits = {
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  /** Milliseconds without a turn that end a device's current session. */
  readonly sessionIdleMs: number;
  /** Milliseconds that an instance counts as there without a sign of life. 10 s if absent. */
  readonly leaseMs?: number;
};

const LEASE_MS = 10_000;
const INSTANCES = "parley:instances";
/** Turns that are listed again at once. */
const BATCH = 200;

/** Makes the registry that instances share through Redis. Nothing runs before `start`. */
export function createRedisTurnRegistry(redis: Redis, limits: SharedLimits): TurnRegistry {
  return new RedisTurnRegistry(redis, limits);
}

class RedisTurnRegistry implements TurnRegistry {
  readonly #id = randomUUID();
  readonly #redis: Redis;
  readonly #bus: InterruptBus;
  readonly #limits: Required<SharedLimits>;
  readonly #run: ReturnType<typeof createRegistryScripts>;
  #local: LocalTurns | undefined;
  /** The lease of what is listed. A new one voids it all: Redis may have missed the ends of turns. */
  #lease = this.#id;
  #leases = 0;
  /** Leases that Redis may still have. */
  readonly #former = new Set<string>();
  /** Other instances, when it was last known. */
  #others = 0;
  #renewal: NodeJS.Timeout | undefined;
  #forget: (() => void) | undefined;
  #isStale = false;
  /** Settles when what runs was listed again; absent while nothing is. */
  #listing: Promise<void> | undefined;
  readonly #missed = createMissedInterrupts();

  constructor(redis: Redis, limits: SharedLimits) {
    this.#redis = redis;
    this.#bus = createInterruptBus(redis, this.#id);
    this.#limits = { leaseMs: LEASE_MS, ...limits };
    this.#run = createRegistryScripts(redis);
  }

  serve(local: LocalTurns): void {
    this.#local = local;
  }

  start(): void {
    this.#renewal = setInterval(() => this.#renew(), this.#limits.leaseMs / 5).unref();
    const relist = () => this.#relist();
    // Interrupts were missed, and ends of turns were not told.
    this.#forget = this.#redis.onOpen(relist);
    this.#bus.listen((interrupt) => this.#hear(interrupt), relist);
    if (this.#redis.isOk()) relist();
  }

  async stop(): Promise<void> {
    clearInterval(this.#renewal);
    this.#forget?.();
    this.#bus.leave();
    const leave = this.#redis.run((client) => client.hdel(INSTANCES, this.#lease));
    await leave.catch(() => undefined);
  }

  async begin(turn: ArrivingTurn): Promise<TurnPlace> {
    const { maxTurns, maxTurnsPerDevice } = this.#limits;
    const [keys, lease, names] = this.#argumentsOf(turn);
    const answer = await this.#run.begin([
      ...keys,
      ...lease,
      maxTurns,
      maxTurnsPerDevice,
      ...names,
    ]);
    const [state, sequence, sessionId] = answer as readonly (string | number)[];
    if (state === "ok") return { sequence: Number(sequence), sessionId: String(sessionId) };
    if (state === "interrupted") throw new TurnCancelled("interrupted");
    // Not the caller's limit, so the message names none: clients offer a purchase where they read one.
    if (state === "full") throw new LimitExceeded("gateways busy; retry in 2 s", "streams");
    const message = `this hardware_id runs ${maxTurnsPerDevice} streams already, the most it may`;
    throw new LimitExceeded(message, "device_streams");
  }

  end(turn: ArrivingTurn): void {
    this.#run.end(this.#argumentsOf(turn).flat()).catch(() => {
      this.#isStale = true;
    });
  }

  async next(deviceId: string): Promise<number> {
    return Number(await this.#run.next([orderOf(deviceId)]));
  }

  async list({ deviceId, sessionId, turnId }: Parameters<TurnRegistry["list"]>[0]) {
    const flat = (await this.#run.list([INSTANCES, orderOf(deviceId)])) as readonly string[];
    const turns = Array.from({ length: flat.length / 2 }, (_, at) => ({
      turnId: flat[2 * at] ?? "",
      sessionId: flat[2 * at + 1] ?? "",
    }));
    return turns.filter(
      (turn) =>
        (sessionId === undefined || turn.sessionId === sessionId) &&
        (turnId === undefined || turn.turnId === turnId.toLowerCase()),
    );
  }

  async interrupt(deviceId: string, upTo?: string): Promise<EndedElsewhere> {
    const named = upTo === undefined ? {} : { upTo };
    let own = NONE;
    const send = async (message: string) => {
      const args = [this.#lease, upTo?.toLowerCase() ?? "", INTERRUPTS, message];
      const keys = [INSTANCES, orderOf(deviceId)];
      const answer = await this.#run.interrupt([...keys, ...args], { timeoutMs: ANSWER_MS });
      const [before = 0, receivers = 0, others = 0] = (answer as unknown[]).map(Number);
      this.#others = others;
      // The turn that it names may run elsewhere, and some before it here.
      if (upTo && this.#local) own = await this.#local.interrupt({ deviceId, before, ...named });
      return { receivers, others };
    };
    const lost = () => ({ ...NONE, unacknowledged: this.#others });
    const ended = await this.#bus.ask({ deviceId, ...named }, send).catch(lost);
    return {
      sessions: [...new Set([...own.sessions, ...ended.sessions])],
      sentTurns: [...own.sentTurns, ...ended.sentTurns],
      unacknowledged: ended.unacknowledged,
    };
  }

  async #hear(interrupt: RemoteInterrupt): Promise<EndedTurns> {
    const end = async () => (await this.#local?.interrupt(interrupt)) ?? NONE;
    const ended = await end();
    if (!this.#listing) return this.#missed.complete(interrupt, ended);
    // Turns whose place is not known here yet may be among those that it means.
    this.#missed.add(interrupt, ended);
    await this.#listing;
    return this.#missed.complete(interrupt, await end());
  }

  /** The keys of a script, this instance, and the turn. */
  #argumentsOf({ deviceId, turnId, sessionId, isCurrent }: ArrivingTurn) {
    const key = deviceId === undefined ? "" : orderOf(deviceId);
    const { leaseMs, sessionIdleMs } = this.#limits;
    return [
      [INSTANCES, key],
      [this.#lease, this.#local?.count() ?? 0, leaseMs],
      [turnId.toLowerCase(), sessionId, isCurrent ? sessionIdleMs : -1],
    ] as const;
  }

  #renew(): void {
    this.#missed.prune();
    if (!this.#redis.isOk()) return;
    if (this.#isStale) this.#relist();
    else void this.#renewLease().catch(() => undefined);
  }

  async #renewLease(): Promise<void> {
    const former = [...this.#former];
    const args = [this.#lease, this.#local?.count() ?? 0, this.#limits.leaseMs, ...former];
    this.#others = Number(await this.#run.renew([INSTANCES, ...args]));
    for (const lease of former) this.#former.delete(lease);
  }

  /** Lists anew what runs, with what Redis does not know of it, and learns of interrupts that were missed. */
  #relist(): void {
    this.#isStale = true;
    if (this.#listing || !this.#local || !this.#redis.isOk()) return;
    this.#listing = this.#listAll(this.#local).finally(() => {
      this.#listing = undefined;
    });
  }

  async #listAll(local: LocalTurns): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        this.#former.add(this.#lease);
        this.#lease = `${this.#id}.${++this.#leases}`;
        await this.#renewLease();
        await this.#listTurns(local);
      }
    } catch {
      this.#isStale = true;
    }
  }

  async #listTurns(local: LocalTurns): Promise<void> {
    const turns = local.running();
    for (let at = 0; at < turns.length; at += BATCH) {
      const batch = turns.slice(at, at + BATCH);
      await Promise.all(batch.map((turn) => this.#listTurn(local, turn)));
    }
    const left = new Set(local.running().map(({ turnId }) => turnId));
    for (const turn of turns) {
      if (!left.has(turn.turnId)) this.end({ ...turn, isCurrent: false });
    }
  }

  async #listTurn(local: LocalTurns, turn: RunningTurn): Promise<void> {
    const { deviceId, turnId, sessionId, sequence = 0, startMs } = turn;
    const ageMicros = Math.round((performance.now() - startMs) * 1000);
    const args = [this.#lease, turnId.toLowerCase(), sessionId, sequence, ageMicros];
    const answer = await this.#run.relist([orderOf(deviceId), ...args]);
    const [place = 0, cut = 0] = (answer as unknown[]).map(Number);
    local.place(turn, place);
    if (place >= cut) return;
    const missed = { deviceId, before: cut };
    this.#missed.add(missed, await local.interrupt(missed));
  }
}

const NONE: EndedTurns = { sessions: [], sentTurns: [] };

type RunningTurn = ReturnType<LocalTurns["running"]>[number];

function orderOf(deviceId: string): string {
  return deviceKey(deviceId, "order");
}
