import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { decodeBase64 } from "./base64-decoder.ts";
import { joinEnvelopes, joinPieces } from "./envelopes-joiner.ts";
import { createPile, type PileBudget } from "./envelopes-pile.ts";
import { readJoined } from "./envelopes-source.ts";
import { webTextTypes } from "./grpc-web-text.ts";

/** What a client may make the gateway keep of bodies that arrive in pieces. */
export type ReframeLimits = {
  /** The longest message that the adapter takes. It gets longer ones as they come, to refuse them. */
  readonly maxMessageBytes: number;
  /** All incomplete messages together. Four of the longest, and 16 MiB at least, by default. */
  readonly maxHeldBytes?: number;
};

type Request = IncomingMessage | Http2ServerRequest;

/**
 * Makes the function that readies an RPC's request for the adapter: whoever iterates over the
 * request afterwards gets its messages whole, however small the pieces in which they arrive. The
 * adapter's own decoder takes time quadratic in the number of pieces, and blocks the gateway.
 *
 * Nothing is read before the adapter reads, so flow control holds as before, and a request that
 * fails or breaks off does so for the adapter too. Over `maxHeldBytes` the iteration throws
 * RESOURCE_EXHAUSTED.
 */
export function createReframe(limits: ReframeLimits): (request: Request) => void {
  const { maxMessageBytes } = limits;
  const maxHeldBytes = limits.maxHeldBytes ?? Math.max(4 * maxMessageBytes, 16 * 1024 * 1024);
  const budget: PileBudget = { maxBytes: maxHeldBytes, heldBytes: 0 };
  return (request) => {
    const kind = bodyKind(request.headers["content-type"]);
    if (kind === undefined) return;
    const join = () => {
      const pile = createPile(budget);
      const joiner = kind === "message" ? joinPieces(pile) : joinEnvelopes(pile, maxMessageBytes);
      return readJoined(request, kind === "base64" ? decodeBase64(joiner) : joiner);
    };
    Object.defineProperty(request, Symbol.asyncIterator, { value: join });
  };
}

/**
 * Streams and gRPC send envelopes, gRPC-Web's text form in base64; a unary Connect call's body is the
 * bare message. The header is as `createNegotiation` leaves it.
 */
function bodyKind(contentType = ""): "envelopes" | "base64" | "message" | undefined {
  if (webTextTypes.includes(contentType)) return "base64";
  if (/^application\/(grpc(-web)?(\+proto|\+json)?|connect\+(proto|json))$/.test(contentType)) {
    return "envelopes";
  }
  return /^application\/(proto|json)$/.test(contentType) ? "message" : undefined;
}
