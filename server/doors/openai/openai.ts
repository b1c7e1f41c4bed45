import { Hono } from "hono";
import type { Door, DoorParts, NodeEnv } from "../door.ts";
import { complete } from "./chat.ts";
import { errorResponse, OpenaiProblem, toOpenaiError } from "./errors.ts";
import { createRealtimeRoute } from "./realtime.ts";
import { createJsonReader } from "./request.ts";
import { speak } from "./speech.ts";
import { createVoiceRule, listVoices } from "./voices.ts";

/** The one model: the gateway's tiers. Requests may name any: it is what their replies say. */
const model = { id: "parley", object: "model", created: 0, owned_by: "parley" } as const;

/** Of bodies that arrive at the same time. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** What OpenAI's clients set, in a page as elsewhere. */
const requestHeaders: readonly string[] = [
  "authorization",
  "openai-organization",
  "openai-project",
  ...["arch", "lang", "os", "package-version", "retry-count", "runtime", "runtime-version"].map(
    (name) => `x-stainless-${name}`,
  ),
  "x-stainless-timeout",
];

/**
 * OpenAI's API over the gateway's turns: speech, chat completions, models and voices over HTTP, and
 * Realtime over WebSocket. Errors have OpenAI's shape. The API key is
 * the token, where tokens are asked for.
 */
export function createOpenaiDoor(parts: DoorParts): Door {
  const voiceOf = createVoiceRule(parts.synthesizers.map(({ provider }) => provider.name));
  const readJson = createJsonReader(MAX_IN_FLIGHT_BYTES);
  const realtime = createRealtimeRoute({ ...parts, voiceOf });
  const routes = new Hono<NodeEnv>();
  routes.post("/v1/audio/speech", (context) => speak(context, { ...parts, voiceOf, readJson }));
  routes.get("/v1/audio/voices", () => Response.json({ voices: listVoices(voiceOf) }));
  routes.post("/v1/chat/completions", (context) => complete(context, { ...parts, readJson }));
  routes.get("/v1/models", () => Response.json({ object: "list", data: [model] }));
  routes.get("/v1/models/:model", (context) => {
    if (context.req.param("model") === model.id) return Response.json(model);
    throw new OpenaiProblem(404, "model_not_found", "the model is not one of /v1/models", "model");
  });
  routes.get(realtime.path, () => {
    throw new OpenaiProblem(426, "upgrade_required", `${realtime.path} speaks WebSocket`);
  });
  routes.onError((error, { env }) => {
    if (env.incoming.aborted || env.outgoing.destroyed) {
      parts.logger.info({}, "client disconnected before its request was complete");
    } else if (toOpenaiError(error).status === 500) {
      parts.logger.error({ error: error.message }, "a request failed");
    }
    return errorResponse(error);
  });
  return { routes, webSockets: [realtime], requestHeaders };
}
