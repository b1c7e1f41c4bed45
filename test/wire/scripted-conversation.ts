import { createAgent } from "../../server/agent/agent.ts";
import { readConfig } from "../../server/config/config.ts";
import type { Conversation } from "../../server/conversation/conversation.ts";
import type { TurnChunk } from "../../server/conversation/reply.ts";
import { createEncoders } from "../../server/encoding/encoders.ts";
import { createHandler } from "../../server/handler.ts";
import { createRateLimits } from "../../server/limits/rate-limits.ts";
import { openStores } from "../../server/stores.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import { openReleases } from "../../server/updates/catalog.ts";

/** The batches of one turn. */
export type Script = (signal: AbortSignal) => Iterable<readonly TurnChunk[]>;

/** The gateway's handler around a conversation that plays a script for every prompt. */
export function openScriptedHandler(script: Script): Handle {
  const conversation: Conversation = {
    async *talk(_request, signal) {
      for (const batch of script(signal)) {
        if (signal.aborted) throw signal.reason;
        yield batch;
      }
    },
    async *resume() {
      yield* [];
    },
    isKept: () => false,
    collect: () => undefined,
    collected: () => undefined,
    interrupt: async () => ({ sessions: [], sentTurns: [], unacknowledged: 0 }),
    reportPlayback: async () => undefined,
    resumableStatus: () => ({ kept: 0, bytes: 0, takenOver: 0, moved: 0, stranded: 0 }),
    stop: () => undefined,
  };
  const { handle } = createHandler(readConfig({}), {
    conversation,
    recordUsage: async () => undefined,
    stores: openStores(readConfig({ STORAGE_ENABLED: "false" }), createLogger("silent")),
    rateLimits: createRateLimits({ requestsPerSecond: 0, bytesPerSecond: 0 }),
    agent: createAgent(agentOptions, logger),
    page: new Map(),
    encoders: createEncoders(),
    metrics: { render: () => Promise.reject(new Error("nobody asks")) },
    releases: openReleases({ folder: "none", onError: () => undefined }),
    readStatus: () => {
      throw new Error("nobody asks");
    },
    holdStream: () => () => undefined,
    stopping: new AbortController().signal,
    logger,
  });
  return handle as Handle;
}

const ignore = () => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
/** None is configured. */
const agentOptions = { reservedPorts: [], env: {}, timeoutMs: 1000, maxMessageBytes: 1024 };

/** A chunk of 96 ms, as the gateway cuts it. */
export function soundChunk(samples = 4608): TurnChunk {
  return { type: "audio", pcm: new Int16Array(samples).fill(-7), synthesizer: "scripted" };
}

/** So many chunks of 96 ms. */
export function soundChunks(count: number): readonly TurnChunk[] {
  return Array.from({ length: count }, () => soundChunk());
}
