import { abortable, TurnCancelled, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { type Breaker, createBreaker } from "../../failover/breaker.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import type { Embedder, Embedding, Memory, MemoryStore } from "../../models/memory.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { createDistillations } from "./distillations.ts";
import { createDistiller, type Exchange } from "./distiller.ts";
import { fence, selectFacts } from "./recall.ts";

/** How the memory does, for `/status`. Counts are since the start. */
export type MemoryStatus = {
  /** `degraded`: the last recall or distillation failed. Turns go on without it. */
  readonly state: "ok" | "degraded";
  /** Where memories are kept: in the database, or in this process until it ends. */
  readonly store: "database" | "process";
  /** What distils them: a model, or the rules alone. */
  readonly distiller: string;
  /** Turns that got what is remembered, be it nothing, and turns that went on without. */
  readonly recalled: number;
  readonly notRecalled: number;
  /** Turns that were distilled, those for which that failed, and those that were dropped. */
  readonly distilled: number;
  readonly failed: number;
  readonly dropped: number;
  /** Turns that wait to be distilled, or are being distilled. */
  readonly waiting: number;
  readonly lastError?: string;
};

/** What is remembered of users, by device. */
export type UserMemory = {
  /**
   * What a turn's prompt gets of the device's memory, as fenced text; undefined if nothing is known, or if
   * it is not known in time. Rejects only with the signal's reason.
   */
  recall(deviceId: string, text: string, signal: AbortSignal): Promise<string | undefined>;
  /** Distils a turn that ended, in the background. */
  distil(turn: DistilledTurn): void;
  /**
   * Drops the distillations of a device that wait or run; with `turnId` that of this turn and those that
   * wait before it.
   */
  drop(deviceId: string, turnId?: string): void;
  /** All that is remembered of a device, oldest first. Rejects if the store fails. */
  list(deviceId: string, signal: AbortSignal): Promise<readonly Memory[]>;
  /**
   * Deletes memories by id, or all, and drops what is being distilled: it could bring them back. Answers
   * how many there were. Rejects if the store fails.
   */
  forget(deviceId: string, ids: readonly string[] | "all", signal: AbortSignal): Promise<number>;
  status(): MemoryStatus;
  /** Drops all distillations. */
  stop(): Promise<void>;
};

/** A turn to distil. */
export type DistilledTurn = Exchange & { readonly deviceId: string; readonly turnId: string };

/** What a memory is made of. */
export type MemoryOptions = {
  readonly store: MemoryStore;
  readonly storeName: MemoryStatus["store"];
  /** A model with `DISTIL_INSTRUCTIONS`. Absent: the rules alone. */
  readonly model?: LanguageModel;
  /** Absent: recent facts alone are recalled. */
  readonly embedder?: Embedder;
  /** Milliseconds that a recall may take. */
  readonly timeoutMs: number;
  readonly logger: Logger;
};

/** Facts that are recalled because they are near to the prompt. */
const NEAREST = 8;
/** Characters of a prompt that are embedded. */
const MAX_QUERY = 2048;

/** Makes a memory. Nothing runs before its first use. */
export function createMemory(options: MemoryOptions): UserMemory {
  const { store, embedder, logger } = options;
  const counts = { recalled: 0, notRecalled: 0 };
  let lastError: string | undefined;
  let isDegraded = false;
  const note = (error: unknown, message: string) => {
    lastError = describe(error);
    isDegraded = true;
    logger.warn({ error: lastError }, message);
  };
  const recover = () => {
    isDegraded = false;
  };
  const embed = embedder && createEmbed(embedder);
  const distiller = createDistiller(options.model, (error) =>
    logger.warn({ error: describe(error) }, "no model to distil; the rules do"),
  );
  const distillations = createDistillations({
    async run({ deviceId, ...exchange }, signal) {
      const known = await store.list(deviceId, signal);
      const { add, remove } = await distiller(exchange, known, signal);
      if (add.length + remove.length === 0) return;
      const embeddings = await embedFacts(add.map(({ fact }) => fact), signal);
      throwIfAborted(signal);
      const embedded = add.map((fact, index) => {
        const embedding = embeddings[index];
        return { ...fact, ...(embedding && { embedding }) };
      });
      await store.change(deviceId, { add: embedded, remove }, signal);
    },
    onFailure: (error) => note(error, "a turn was not distilled"),
    onSuccess: recover,
  });

  /** Facts without an embedding are still recalled while they are recent. */
  async function embedFacts(texts: readonly string[], signal: AbortSignal) {
    if (!embed || texts.length === 0) return [];
    try {
      return await embed(texts, "fact", signal);
    } catch (error) {
      throwIfAborted(signal);
      note(error, "facts were not embedded");
      return [];
    }
  }

  async function findNearest(deviceId: string, text: string, signal: AbortSignal) {
    if (!embed) return [];
    try {
      const [to] = await embed([text.slice(0, MAX_QUERY)], "query", signal);
      return to ? await store.nearest(deviceId, { to, count: NEAREST }, signal) : [];
    } catch (error) {
      if (!isOpen(error)) note(error, "no nearest facts");
      return [];
    }
  }

  return {
    async recall(deviceId, text, signal) {
      const time = limit(signal, options.timeoutMs);
      try {
        const [all, nearest] = await Promise.all([
          abortable(store.list(deviceId, time.signal), time.signal),
          findNearest(deviceId, text, time.signal),
        ]);
        throwIfAborted(signal);
        counts.recalled += 1;
        if (nearest.length > 0 || !embed) recover();
        return fence(selectFacts(all, nearest));
      } catch (error) {
        throwIfAborted(signal);
        counts.notRecalled += 1;
        note(error, "a turn goes on without memory");
        return undefined;
      } finally {
        time.clear();
      }
    },
    distil: distillations.add,
    drop: distillations.drop,
    list: (deviceId, signal) => store.list(deviceId, signal),
    async forget(deviceId, ids, signal) {
      distillations.drop(deviceId);
      return await store.forget(deviceId, ids, signal);
    },
    status: () => ({
      state: isDegraded ? "degraded" : "ok",
      store: options.storeName,
      distiller: options.model?.name ?? "rules",
      ...counts,
      ...distillations.counts(),
      ...(lastError !== undefined && { lastError }),
    }),
    stop: distillations.stop,
  };
}

/** A signal that fires with the given one, or after a time. */
function limit(signal: AbortSignal, timeoutMs: number) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("no answer in time")), timeoutMs);
  return { signal: AbortSignal.any([signal, late.signal]), clear: () => clearTimeout(timer) };
}

type Embed = (
  texts: readonly string[],
  use: "fact" | "query",
  signal: AbortSignal,
) => Promise<readonly Embedding[]>;

/** The embedder behind a breaker: turns do not wait for one that is known to be down. */
function createEmbed({ model, embed }: Embedder): Embed {
  const breaker: Breaker = createBreaker({ failures: 2 });
  return async (texts, use, signal) => {
    const call = breaker.admit();
    if (!call) throw new BreakerOpen();
    try {
      const vectors = await abortable(embed(texts, use, signal), signal);
      call.succeed();
      return vectors.map((vector) => ({ model, vector }));
    } catch (error) {
      if (error instanceof ProviderError) call.fail(error);
      else if (signal.reason instanceof TurnCancelled) call.forget();
      else call.fail(new ProviderError("embedder", "timeout", "no answer in time"));
      throw error;
    }
  };
}

class BreakerOpen extends Error {}

function isOpen(error: unknown): boolean {
  return error instanceof BreakerOpen;
}

/** What `/status` and the log may say of an error. Those of stores and providers hold no secret. */
function describe(error: unknown): string {
  if (error instanceof SyntaxError) return "the model's answer cannot be read";
  return error instanceof Error ? error.message : "failed unexpectedly";
}
