import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { type Caller, signalOf } from "../auth/caller.ts";
import type { Callers } from "../auth/gate.ts";
import type { Conversation } from "../conversation/conversation.ts";
import { MAX_PROMPT_BYTES } from "../conversation/turn-request.ts";
import { InvalidRequest } from "../core/errors.ts";
import { connectionOf, readMediaType, readText } from "../core/http.ts";
import type { Encoders } from "../encoding/encoders.ts";
import { problem, problemResponse } from "./problem.ts";
import { answerHeaders, answerTurn } from "./speak-answer.ts";
import { formats } from "./speak-encoding.ts";
import { readBody, readQuery, type SpeakRequest } from "./speak-fields.ts";
import { createTickets, TICKET_SECONDS, type Tickets } from "./speak-tickets.ts";

/** A prompt with every character escaped, and room for the other fields. */
const MAX_BODY_BYTES = 6 * MAX_PROMPT_BYTES + 4096;

/** What the routes are made of. */
export type SpeakOptions = {
  readonly conversation: Conversation;
  readonly callers: Callers;
  readonly encoders: Encoders;
};

type NodeEnv = { Bindings: HttpBindings | Http2Bindings };
type NodeContext = Context<NodeEnv>;

/**
 * A turn for curl, `<audio>` and EventSource. Takes `{prompt, hardware_id, session_id?,
 * turn_id?, language?, voice?, lead_ms?, format?}` and streams one of `formats`.
 *
 * - `POST /v1/speak`: the fields as JSON.
 * - `GET /v1/speak`: the fields in the query, or a `ticket` alone. `HEAD` checks them without
 *   running a turn. 204 when EventSource reconnects: a turn does not run twice.
 * - `POST /v1/speak/tickets`: the fields as JSON; answers 201 `{ticket, expires_in, url}`.
 *
 * `withAccess` has refused pages that may not call. Errors before the first byte are a status and JSON.
 * After it, `sse` sends a `failure` event; the other formats close the connection, so that curl fails.
 */
export function speakRoutes(options: SpeakOptions): Hono<NodeEnv> {
  const { callers } = options;
  const tickets = createTickets();
  const callerOf = ({ env }: NodeContext) => callers.callerOf(env.incoming);
  return new Hono<NodeEnv>()
    .post("/v1/speak", (context) =>
      withBody(context, callerOf(context), (request) => speak(context, options, request)),
    )
    .post("/v1/speak/tickets", (context) =>
      withBody(context, callerOf(context), (request) => issueTicket(tickets, request)),
    )
    .get("/v1/speak", (context) => speakQuery(context, { ...options, tickets }));
}

async function withBody(
  context: NodeContext,
  caller: Caller,
  answer: (request: SpeakRequest) => Response | Promise<Response>,
): Promise<Response> {
  // Also refuses forms and plain text, which any web page may send without a preflight.
  if (readMediaType(context.req.header("content-type")) !== "application/json") {
    return problemResponse(
      problem(415, "invalid_argument", "content-type must be application/json"),
    );
  }
  const text = await readText(context.env.incoming, MAX_BODY_BYTES);
  if (text === undefined) {
    const message = `the body is over ${MAX_BODY_BYTES} bytes`;
    return problemResponse(problem(413, "resource_exhausted", message));
  }
  return answer(readBody(text, caller));
}

function speak(
  context: NodeContext,
  { conversation, encoders }: SpeakOptions,
  request: SpeakRequest,
): Promise<Response> {
  const turn = { ...request.turn, connection: connectionOf(context.env.incoming) };
  return answerTurn({ ...request, turn }, conversation, {
    encoders,
    signal: signalOf(request.caller, context.req.raw.signal),
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

type SpeakParts = SpeakOptions & { readonly tickets: Tickets };

async function speakQuery(
  context: NodeContext,
  { tickets, ...options }: SpeakParts,
): Promise<Response> {
  const { callers } = options;
  const query = new URL(context.req.url).searchParams;
  const ticket = query.get("ticket");
  if (context.req.header("last-event-id")) return new Response(null, { status: 204 });
  if (ticket !== null && query.size > 1) throw new InvalidRequest("ticket", "must stand alone");
  const isHead = context.req.method === "HEAD";
  const { incoming } = context.env;
  const request =
    ticket === null
      ? readQuery(query, callers.callerOf(incoming))
      : isHead
        ? tickets.peek(ticket)
        : tickets.redeem(ticket);
  if (request === undefined) {
    const reason = `the ticket is unknown, was used, or is older than ${TICKET_SECONDS} s`;
    return problemResponse(problem(404, "not_found", reason));
  }
  if (isHead) return new Response(null, { headers: answerHeaders(formats[request.format]) });
  const caller = ticket === null ? request.caller : callers.adopt(incoming, request.caller);
  return speak(context, options, { ...request, caller });
}
