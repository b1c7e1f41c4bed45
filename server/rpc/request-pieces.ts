import { IncomingMessage } from "node:http";
import { finished, type Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Joiner } from "./envelope-assembler.ts";

// After so many pieces the rest of the gateway gets its turn. Pieces of a usual size never reach it.
const piecesPerTurn = 1024;

/**
 * Reads a body through a joiner. What the joiner lets go on is yielded before more is read.
 *
 * It reads by `data` events: iterating over the body itself would cost several microtasks for
 * every piece, and a client may send a piece for every byte. Throws what the body or the joiner
 * fails with. Left early, it reads on and drops what comes: destroying the request would tear down
 * an HTTP/1.1 connection before the client could read why it was refused.
 */
export async function* readJoined(body: Readable, joiner: Joiner): AsyncGenerator<Uint8Array> {
  const flow = openFlow(body, joiner);
  try {
    while (!flow.ended || flow.ready.length > 0) {
      const bytes = flow.ready.shift();
      if (bytes) yield bytes;
      else if (flow.pieces >= piecesPerTurn) await flow.giveWay();
      else await flow.read();
    }
    if (flow.error) throw flow.error;
    const rest = joiner.rest();
    if (rest.length > 0) yield rest;
  } finally {
    flow.close();
    joiner.rest();
  }
}

/** The body's events on one side, what they made ready on the other. */
function openFlow(body: Readable, joiner: Joiner) {
  // An HTTP/1.1 body that pauses stops its connection only when 64 KiB more have come, byte by byte.
  const connection = body instanceof IncomingMessage ? body.socket : undefined;
  let wake = () => {};
  const flow = {
    ready: [] as Uint8Array[],
    pieces: 0,
    ended: false,
    error: undefined as unknown,
    /** Reads until something is ready, the body has ended or many pieces have come. */
    read(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      body.resume();
      return promise;
    },
    async giveWay() {
      flow.pieces = 0;
      await nextTurn();
      connection?.resume();
    },
    close() {
      unfollow();
      body.off("data", take).resume();
      connection?.resume();
    },
  };
  const end = (error?: unknown) => {
    flow.ended = true;
    flow.error ??= error;
    wake();
  };
  const pause = () => {
    body.pause();
    wake();
  };
  const take = (piece: Uint8Array) => {
    flow.pieces += 1;
    try {
      const bytes = joiner.push(piece);
      if (bytes.length > 0) flow.ready.push(bytes);
    } catch (error) {
      end(error);
    }
    if (flow.ready.length > 0) pause();
    if (flow.pieces === piecesPerTurn) {
      connection?.pause();
      pause();
    }
  };
  const unfollow = finished(body, { writable: false }, end);
  body.pause().on("data", take);
  return flow;
}
