import { throwIfAborted } from "../../core/async.ts";
import { createGeminiClient, type GeminiAccess } from "../gemini/client.ts";
import { instructionOf } from "../gemini/prompt.ts";
import {
  type ConnectionSetup,
  type LiveConnection,
  openLiveConnection,
  type Resumption,
} from "./connection.ts";
import { isRefusedForNumber } from "./warm-pool.ts";

/** What the connections of a tier have in common. */
export type ConnectorOptions = GeminiAccess & {
  /** `gemini-3.8-live` */
  readonly model: string;
  /** How the assistant should behave. */
  readonly systemPrompt?: string | undefined;
  /** Whether the model may search the web; false if absent. */
  readonly search?: boolean | undefined;
  /** The vendor's name of a voice; its default if absent. */
  readonly voice?: string | undefined;
  /** Connections that the account may have at once; unknown if absent. */
  readonly maxConnections?: number | undefined;
  /** Covers a connection and its setup; 10,000 if absent. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long the words of a reply, or an answer after a filler, may come late; 5,000 if absent. */
  readonly trailingMs?: number | undefined;
};

/** Opens the connections of a tier. */
export type Connector = {
  /**
   * Opens a connection for a turn. Where the account has no room, it closes one that no turn uses.
   * Throws what `openLiveConnection` throws.
   */
  open(resumption: Resumption | undefined, signal: AbortSignal): Promise<LiveConnection>;
  /** Opens a connection for no turn. It closes none for it. */
  openSpare(signal: AbortSignal): Promise<LiveConnection>;
  /** False if the account has as many connections as it may. */
  hasRoom(): boolean;
};

/** Creates a connector. `makeRoom` closes a connection that no turn uses; false if there is none. */
export function createConnector(options: ConnectorOptions, makeRoom: () => boolean): Connector {
  const client = createGeminiClient("gemini-live", options);
  const setup = setupOf(options);
  /** Connections that are open or being opened. */
  let count = 0;
  const hasRoom = () => count < (options.maxConnections ?? Number.POSITIVE_INFINITY);
  const forget = () => {
    count -= 1;
  };
  const openOne = async (resumption: Resumption | undefined, signal: AbortSignal) => {
    count += 1;
    const resumed = { resumptionToken: resumption?.token, seen: resumption?.seen ?? [] };
    try {
      const connection = await openLiveConnection(client, { ...setup, ...resumed }, signal);
      void connection.ended.then(forget);
      return connection;
    } catch (error) {
      forget();
      throw error;
    }
  };
  return {
    async open(resumption, signal) {
      if (!hasRoom()) makeRoom();
      try {
        return await openOne(resumption, signal);
      } catch (error) {
        throwIfAborted(signal);
        if (!isRefusedForNumber(error) || !makeRoom()) throw error;
        return await openOne(resumption, signal);
      }
    },
    openSpare: (signal) => openOne(undefined, signal),
    hasRoom,
  };
}

function setupOf(options: ConnectorOptions): ConnectionSetup {
  const { model, systemPrompt, search, voice } = options;
  return {
    model,
    instruction: instructionOf(systemPrompt),
    search,
    voice,
    seen: [],
    habits: {},
    trailingMs: options.trailingMs ?? 5_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
  };
}
