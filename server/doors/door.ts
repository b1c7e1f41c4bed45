import { randomUUID } from "node:crypto";
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { Hono } from "hono";
import type { Callers } from "../auth/gate.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { WebSocketRoute } from "../core/web-socket.ts";
import type { Encoders } from "../encoding/encoders.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Node's own request and response, as Hono passes them on. */
export type NodeEnv = { Bindings: HttpBindings | Http2Bindings };

/**
 * A way in for other people's clients: another vendor's routes and messages over the same turns. Host and
 * origin were checked before it is called. Its routes answer errors in the vendor's shape.
 */
export type Door = {
  readonly routes: Hono<NodeEnv>;
  readonly webSockets: readonly WebSocketRoute[];
  /** Request headers that the vendor's client sets in a permitted page, in lower case. */
  readonly requestHeaders: readonly string[];
};

/** What doors are made of. */
export type DoorParts = {
  readonly conversation: Conversation;
  /** The language tiers, best first. */
  readonly languageModels: readonly { readonly provider: Pick<LanguageModel, "hears"> }[];
  /** The speech tiers, best first. */
  readonly synthesizers: readonly { readonly provider: { readonly name: string } }[];
  /** Characters of a text to be spoken. */
  readonly maxInputCharacters: number;
  /** Who sends which request. */
  readonly callers: Pick<Callers, "callerOf">;
  readonly encoders: Encoders;
  readonly logger: Logger;
};

/**
 * What a door's turn has of its caller: the token's device, if there is one. It is a session of its own,
 * unless the door names one: the client keeps the conversation.
 */
export function turnOfCaller({ deviceId }: { readonly deviceId?: string }) {
  return { sessionId: randomUUID(), hasOwnHistory: true, ...(deviceId && { deviceId }) };
}
