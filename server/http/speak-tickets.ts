import { createHash, randomBytes } from "node:crypto";
import { LimitExceeded } from "../core/errors.ts";
import type { SpeakRequest } from "./speak-fields.ts";

/** How long a ticket is valid, in seconds. */
export const TICKET_SECONDS = 60;
const MAX_TICKETS = 1024;
/** Characters of all waiting prompts: 16 to 32 MiB of memory. */
const MAX_PROMPT_LENGTH = 16 * 1024 * 1024;

/** Requests that wait for their ticket to be redeemed. */
export type Tickets = {
  /**
   * Keeps a request for `TICKET_SECONDS` and returns its ticket: 128 random bits in base64url, a
   * secret. Throws `LimitExceeded` while 1,024 requests, or 16 Mi characters of prompts, wait.
   */
  issue(request: SpeakRequest): string;
  /** The request of a valid ticket, which stays valid. */
  peek(ticket: string): SpeakRequest | undefined;
  /** The request of a valid ticket. Each ticket works once. */
  redeem(ticket: string): SpeakRequest | undefined;
};

type Entry = { readonly request: SpeakRequest; readonly timer: NodeJS.Timeout };

/** Creates an empty store. Its timers keep no process alive. */
export function createTickets(): Tickets {
  // By digest, so that the time of a look-up says nothing about existing tickets.
  const entries = new Map<string, Entry>();
  let promptLength = 0;
  const remove = (digest: string): SpeakRequest | undefined => {
    const entry = entries.get(digest);
    if (entry === undefined) return undefined;
    clearTimeout(entry.timer);
    entries.delete(digest);
    promptLength -= lengthOf(entry.request);
    return entry.request;
  };
  return {
    issue(request) {
      if (entries.size >= MAX_TICKETS || promptLength + lengthOf(request) > MAX_PROMPT_LENGTH) {
        throw new LimitExceeded(
          `too many tickets; retry in ${TICKET_SECONDS} s`,
          "tickets",
          TICKET_SECONDS * 1000,
        );
      }
      const ticket = randomBytes(16).toString("base64url");
      const digest = digestOf(ticket);
      const timer = setTimeout(() => remove(digest), TICKET_SECONDS * 1000).unref();
      entries.set(digest, { request, timer });
      promptLength += lengthOf(request);
      return ticket;
    },
    peek: (ticket) => entries.get(digestOf(ticket))?.request,
    redeem: (ticket) => remove(digestOf(ticket)),
  };
}

function digestOf(ticket: string): string {
  return createHash("sha256").update(ticket).digest("base64");
}

function lengthOf({ turn }: SpeakRequest): number {
  return turn.prompt.text.length;
}
