import type { Cluster } from "./cluster-parts.ts";
import type { Config } from "./config/config.ts";
import {
  type Conversation,
  type ConversationOptions,
  createConversation,
} from "./conversation/conversation.ts";
import { createStoredHistory, type History } from "./conversation/history.ts";
import { createLocalHistory } from "./conversation/local-history.ts";
import { createSharedHistory } from "./conversation/shared-history.ts";
import type { Encoders } from "./encoding/encoders.ts";
import type { TierListener } from "./failover/tiers.ts";
import type { Limits } from "./limit-gate.ts";
import { encodeTurn } from "./rpc/opus-chunks.ts";
import type { Stores } from "./stores.ts";

/** What keeps or counts something for the conversation. */
type Keepers = Stores &
  Pick<Limits, "quotas"> &
  Pick<Cluster, "recentTurns" | "sharedTurns"> &
  Pick<ConversationOptions, "activeTurns">;

/** What else it is made of. */
type Parts = Pick<
  ConversationOptions,
  "languageModels" | "synthesizers" | "observe" | "onInterrupt" | keyof TierListener
> & { readonly encoders: Encoders };

/** Puts the conversation together. */
export function openConversation(
  config: Config,
  keepers: Keepers,
  { encoders, ...parts }: Parts,
): Conversation {
  const { frameMs, failsOverWithheld, sessionIdleMs } = config;
  const { activeTurns, memory, screenshots, quotas, sharedTurns } = keepers;
  return createConversation({
    ...parts,
    frameMs,
    failsOverWithheld,
    sessionIdleMs,
    history: openHistory(config, keepers),
    quotas,
    activeTurns,
    sharedTurns,
    encode: (batches, signal) => encodeTurn(batches, encoders, signal),
    ...(memory && { memory }),
    ...(screenshots && { screenshots }),
  });
}

function openHistory({ database }: Config, { storage, recentTurns }: Keepers): History {
  const local = createLocalHistory();
  const own = storage ? createStoredHistory(storage, local, database) : local;
  // With a database of its own, or none, a gateway knows of the others' turns by Redis alone.
  const isAlone = storage === undefined || !database.isShared;
  return recentTurns && isAlone ? createSharedHistory(own, recentTurns) : own;
}
