import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Conversation } from "../conversation/conversation.ts";
import { MAX_PROMPT_BYTES } from "../conversation/fields.ts";
import { connectionOf } from "../core/connection.ts";
import { InvalidRequest } from "../core/errors.ts";
import { readMediaType } from "../core/media-type.ts";
import { problem, problemResponse } from "./problem.ts";
import { answerHeaders, answerTurn } from "./speak-answer.ts";
import { formats } from "./speak-encoding.ts";
import { readBody, readQuery, type SpeakRequest } from "./speak-fields.ts";
import { createTickets, TICKET_SECONDS, type Tickets } from "./speak-tickets.ts";

/** A prompt of which every character is escaped, and room for the other fields. */
const MAX_BODY_BYTES = 6 * MAX_PROMPT_BYTES + 4096;

type NodeEnv = { Bindings: HttpBindings | Http2Bindings };
type NodeContext = Context<NodeEnv>;

/**
 * A turn for curl, `<audio>` and EventSource. Fields `{prompt, hardware_id, session_id?, voice?,
 * format?}`; out, as it is made, one of `formats`.
 *
 * - `POST /v1/speak`: the fields as JSON.
 * - `GET /v1/speak`: the fields in the query, or a `ticket` alone. `HEAD` checks them, and runs
 *   nothing. 204 where EventSource connects again: a turn is not run twice.
 * - `POST /v1/speak/tickets`: the fields as JSON; answers 201 `{ticket, expires_in, url}`.
 *
 * Pages that may not call do not come as far as this: a GET of theirs is refused by `withCors`. Errors
 * before the first byte are JSON with a status; after it, `sse` sends a `failure` event and the others
 * break off, so that curl fails.
 */
export function speakRoutes(conversation: Conversation): Hono<NodeEnv> {
  const tickets = createTickets();
  const tooLarge = problem(413, "resource_exhausted", `the body is over ${MAX_BODY_BYTES} bytes`);
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => problemResponse(tooLarge),
  });
  return new Hono<NodeEnv>()
    .post("/v1/speak", limit, (context) =>
      withBody(context, (request) => speak(context, conversation, request)),
    )
    .post("/v1/speak/tickets", limit, (context) =>
      withBody(context, (request) => issueTicket(tickets, request)),
    )
    .get("/v1/speak", (context) => speakQuery(context, conversation, tickets));
}

async function withBody(
  context: NodeContext,
  answer: (request: SpeakRequest) => Response | Promise<Response>,
): Promise<Response> {
  // Also keeps out the forms and plain texts that any web page may send without asking.
  if (readMediaType(context.req.header("content-type")) !== "application/json") {
    return problemResponse(
      problem(415, "invalid_argument", "content-type must be application/json"),
    );
  }
  return answer(readBody(await context.req.text()));
}

function speak(
  context: NodeContext,
  conversation: Conversation,
  request: SpeakRequest,
): Promise<Response> {
  const turn = { ...request.turn, connection: connectionOf(context.env.incoming) };
  return answerTurn({ ...request, turn }, conversation, {
    signal: context.req.raw.signal,
    isEventSource: context.req.method === "GET",
    cut: () => context.env.outgoing.destroy(new Error("the turn failed")),
  });
}

function issueTicket(tickets: Tickets, request: SpeakRequest): Response {
  const ticket = tickets.issue(request);
  const url = `/v1/speak?ticket=${ticket}`;
  const headers = { "cache-control": "no-store" };
  return Response.json({ ticket, expires_in: TICKET_SECONDS, url }, { status: 201, headers });
}

async function speakQuery(
  context: NodeContext,
  conversation: Conversation,
  tickets: Tickets,
): Promise<Response> {
  const query = new URL(context.req.url).searchParams;
  const ticket = query.get("ticket");
  if (context.req.header("last-event-id")) return new Response(null, { status: 204 });
  if (ticket !== null && query.size > 1) throw new InvalidRequest("ticket", "must stand alone");
  const isHead = context.req.method === "HEAD";
  const request =
    ticket === null ? readQuery(query) : isHead ? tickets.peek(ticket) : tickets.redeem(ticket);
  if (request === undefined) {
    const reason = `the ticket is unknown, was used, or is older than ${TICKET_SECONDS} s`;
    return problemResponse(problem(404, "not_found", reason));
  }
  if (isHead) return new Response(null, { headers: answerHeaders(formats[request.format]) });
  return speak(context, conversation, request);
}
