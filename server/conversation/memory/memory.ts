import { throwIfAborted } from "../../core/async.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import type { Embedder, Memory, MemoryStore } from "../../models/memory.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { createDistillations } from "./distillations.ts";
import { createDistiller, type DistilledTurn } from "./distiller.ts";
import { createEmbed, type Embed } from "./embed.ts";
import { createRecall } from "./recall.ts";

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
   * Drops the distillations of a device that wait or run: of all its turns, or of those that are meant.
   */
  drop(deviceId: string, isMeant?: (turnId: string) => boolean): void;
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

/** Makes a memory. Nothing runs before its first use. */
export function createMemory(options: MemoryOptions): UserMemory {
  const { store, model } = options;
  const health = createHealth(options.logger);
  const embed = options.embedder && createEmbed(options.embedder);
  const { recall, counts } = createRecall({
    ...{ store, embed, timeoutMs: options.timeoutMs },
    onFailure: health.fail,
    onSuccess: health.recover,
  });
  const distillations = createDistillations({
    run: createDistillation(options, { embed, health }),
    onFailure: (error) => health.fail(error, "a turn was not distilled"),
    onSuccess: health.recover,
  });
  return {
    recall,
    distil: distillations.add,
    drop: distillations.drop,
    list: (deviceId, signal) => store.list(deviceId, signal),
    async forget(deviceId, ids, signal) {
      distillations.drop(deviceId);
      return await store.forget(deviceId, ids, signal);
    },
    status: () => ({
      ...health.read(),
      store: options.storeName,
      distiller: model?.name ?? "rules",
      ...counts(),
      ...distillations.counts(),
    }),
    stop: distillations.stop,
  };
}

type DistillationParts = {
  readonly embed: Embed | undefined;
  readonly health: ReturnType<typeof createHealth>;
};

/** What becomes of a turn: it is distilled, its facts are embedded, and the change is written. */
function createDistillation(
  { store, model, logger }: MemoryOptions,
  { embed, health }: DistillationParts,
) {
  const distiller = createDistiller(model, (error) =>
    logger.warn({ error: describe(error) }, "no model to distil; the rules do"),
  );
  /** Facts without an embedding are still recalled while they are recent. */
  const embedFacts = async (texts: readonly string[], signal: AbortSignal) => {
    if (!embed || texts.length === 0) return [];
    try {
      return await embed(texts, "fact", signal);
    } catch (error) {
      throwIfAborted(signal);
      health.fail(error, "facts were not embedded");
      return [];
    }
  };
  return async ({ deviceId, ...exchange }: DistilledTurn, signal: AbortSignal) => {
    const known = await store.list(deviceId, signal);
    const { add, remove } = await distiller(exchange, known, signal);
    if (add.length + remove.length === 0) return;
    const texts = add.map(({ fact }) => fact);
    const embeddings = await embedFacts(texts, signal);
    throwIfAborted(signal);
    const embedded = add.map((fact, index) => {
      const embedding = embeddings[index];
      return { ...fact, ...(embedding && { embedding }) };
    });
    await store.change(deviceId, { add: embedded, remove }, signal);
  };
}

/** Whether memory works, by its last call. */
function createHealth(logger: Logger) {
  let state: MemoryStatus["state"] = "ok";
  let lastError: string | undefined;
  return {
    read: () => ({ state, ...(lastError !== undefined && { lastError }) }),
    fail(error: unknown, message: string) {
      lastError = describe(error);
      state = "degraded";
      logger.warn({ error: lastError }, message);
    },
    recover() {
      state = "ok";
    },
  };
}

/** What `/status` and the log may say of an error. Those of stores and providers hold no secret. */
function describe(error: unknown): string {
  if (error instanceof SyntaxError) return "the model's answer cannot be read";
  return error instanceof Error ? error.message : "failed unexpectedly";
}
