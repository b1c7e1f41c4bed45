import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { nowMs } from "../clock.ts";
import { encodeRequest, PREFIX_BYTES, STREAM_AUDIO } from "./messages.ts";

/** A client that costs little: it reads envelopes and decodes nothing. */
export type Listener = {
  /** Runs a turn and answers when each message came, and its length. Throws if the call fails. */
  listen(turn: string, signal: AbortSignal): Promise<readonly Heard[]>;
  close(): void;
};

/** A message that came. */
export type Heard = { readonly atMs: number; readonly bytes: number };

/** Connects a listener, on a connection of its own. */
export async function openListener(url: string, id: string): Promise<Listener> {
  const session = connect(url);
  session.on("error", () => undefined);
  await once(session, "connect");
  return {
    listen: (turn, signal) => listen(session, encodeRequest(turn, id), signal),
    close: () => session.destroy(),
  };
}

async function listen(
  session: ClientHttp2Session,
  request: Buffer,
  signal: AbortSignal,
): Promise<readonly Heard[]> {
  const head = {
    ":method": "POST",
    ":path": STREAM_AUDIO,
    "content-type": "application/grpc",
    te: "trailers",
  };
  const stream = session.request(head, { signal }).end(request);
  const heard: Heard[] = [];
  let status: unknown;
  const reader = createReader((bytes) => heard.push({ atMs: nowMs(), bytes }));
  stream.on("data", reader);
  stream.on("trailers", (trailers) => {
    status = trailers["grpc-status"];
  });
  await once(stream, "close");
  if (status !== "0") throw new Error(`the call ended with status ${status}`);
  return heard;
}

/** Calls `onMessage` for every envelope that has come in full. */
function createReader(onMessage: (bytes: number) => void): (piece: Buffer) => void {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  let prefixBytes = 0;
  let messageBytes = 0;
  let missing = 0;
  return (piece) => {
    let at = 0;
    while (at < piece.length) {
      if (prefixBytes < PREFIX_BYTES) {
        const taken = piece.copy(prefix, prefixBytes, at, at + PREFIX_BYTES - prefixBytes);
        prefixBytes += taken;
        at += taken;
        if (prefixBytes < PREFIX_BYTES) return;
        messageBytes = prefix.readUInt32BE(1);
        missing = messageBytes;
      }
      const taken = Math.min(missing, piece.length - at);
      missing -= taken;
      at += taken;
      if (missing > 0) return;
      prefixBytes = 0;
      onMessage(messageBytes);
    }
  };
}
