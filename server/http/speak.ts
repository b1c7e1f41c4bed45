import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import type { Conversation } from "../conversation/conversation.ts";
import { MAX_PROMPT_BYTES } from "../conversation/fields.ts";
import type { TurnChunk } from "../conversation/turn.ts";
import { parseTurn } from "../conversation/turn-request.ts";
import { connectionOf } from "../core/connection.ts";
import { InvalidRequest } from "../core/errors.ts";
import { readMediaType } from "../core/media-type.ts";
import { problem, problemResponse } from "./problem.ts";
import { type Encoding, encodings } from "./speak-encoding.ts";

/** A prompt of which every character is escaped, and room for the other fields. */
const MAX_BODY_BYTES = 6 * MAX_PROMPT_BYTES + 4096;

const speakBody = z.strictObject({
  prompt: z.string(),
  hardware_id: z.string(),
  session_id: z.string().optional(),
  voice: z.string().optional(),
  format: z.enum(["wav", "pcm", "sse"]).default("wav"),
});

type NodeEnv = { Bindings: HttpBindings | Http2Bindings };

/**
 * `POST /v1/speak`: a turn for curl. JSON `{prompt, hardware_id, session_id?, voice?, format?}` in;
 * out, as it is made, one of the formats of `encodings`. Errors before the first chunk are JSON with
 * a status; after it, `sse` sends an `error` event and the others break off, so that curl fails.
 */
export function speakRoutes(conversation: Conversation): Hono<NodeEnv> {
  const tooLarge = problem(413, "resource_exhausted", `the body is over ${MAX_BODY_BYTES} bytes`);
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => problemResponse(tooLarge),
  });
  return new Hono<NodeEnv>().post("/v1/speak", limit, (context) => speak(context, conversation));
}

async function speak(context: Context<NodeEnv>, conversation: Conversation): Promise<Response> {
  // Also keeps out the forms and plain texts that any web page may send without asking.
  if (readMediaType(context.req.header("content-type")) !== "application/json") {
    return problemResponse(
      problem(415, "invalid_argument", "content-type must be application/json"),
    );
  }
  const { format, ...fields } = parseBody(await context.req.text());
  const left = new AbortController();
  const signal = AbortSignal.any([context.req.raw.signal, left.signal]);
  const connection = connectionOf(context.env.incoming);
  const chunks = conversation.talk({ ...parseTurn(fields), connection }, signal);
  // Only once there is something to send is it known whether the answer is 200.
  const first = await chunks.next();
  const body = toStream(write(encodings[format], first, chunks), {
    onLeave: () => left.abort(),
    // A clean end would make half a file look whole.
    onFailure: () => context.env.outgoing.destroy(new Error("the turn failed")),
  });
  const headers = { "content-type": encodings[format].contentType, "cache-control": "no-store" };
  return new Response(body, { headers });
}

function parseBody(text: string): z.output<typeof speakBody> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidRequest("body", "must be JSON");
  }
  const parsed = speakBody.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new InvalidRequest(issue.keys[0] ?? "body", "is not a field of this request");
  }
  const field = issue?.path.join(".") || "body";
  throw new InvalidRequest(field, `is missing or of the wrong kind (${issue?.message})`);
}

async function* write(
  encoding: Encoding,
  first: IteratorResult<TurnChunk>,
  rest: AsyncGenerator<TurnChunk>,
): AsyncGenerator<Uint8Array> {
  if (encoding.begin.length > 0) yield encoding.begin;
  try {
    for (let step = first; !step.done; step = await rest.next()) {
      const bytes = encoding.chunk(step.value);
      if (bytes) yield bytes;
    }
    const end = encoding.end();
    if (end) yield end;
  } catch (error) {
    const last = encoding.fail(error);
    if (last === undefined) throw error;
    yield last;
  }
}

function toStream(
  bytes: AsyncGenerator<Uint8Array>,
  { onLeave, onFailure }: { readonly onLeave: () => void; readonly onFailure: () => void },
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const step = await bytes.next();
        if (!step.done) return controller.enqueue(step.value);
      } catch {
        onFailure();
      }
      controller.close();
    },
    cancel: onLeave,
  });
}
