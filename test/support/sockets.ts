import { type EventEmitter, once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from "node:http2";
import { connect, type Socket } from "node:net";
import type { Port, PortAddress, PortOptions } from "../../server/transport/port.ts";
import { createPort } from "../../server/transport/port.ts";

/** A port that a test started, and what to do when the test is over. */
export type OpenPort = { readonly port: Port; readonly address: PortAddress };

const opened: { close(): unknown }[] = [];

/** Closes whatever the tests of a file opened. For `afterEach`. */
export async function closeAll(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing.close();
}

/** Starts a port of its own for a test. */
export async function openPort(options: Partial<PortOptions>): Promise<OpenPort> {
  const port = createPort({ host: "127.0.0.1", port: 0, handle: () => undefined, ...options });
  opened.push({ close: () => port.stop(0) });
  return { port, address: await port.start() };
}

/** A connection of which a test writes and reads every byte. */
export type RawClient = {
  readonly socket: Socket;
  /** What came so far, a character a byte. */
  received(): string;
  /** Resolves when the text has come, and rejects if the connection ends without it. */
  until(text: string): Promise<string>;
  /** Resolves with all that came when the other side has closed the connection. */
  closed(): Promise<string>;
};

/** Opens a connection, from another address of this machine if one is named. It reads unless paused. */
export async function openRaw(address: PortAddress, localAddress?: string): Promise<RawClient> {
  const from = localAddress === undefined ? {} : { localAddress };
  const socket = connect({ ...address, ...from, allowHalfOpen: true });
  opened.push({ close: () => socket.destroy() });
  await once(socket, "connect");
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
    socket.emit("progress");
  });
  socket.on("error", () => undefined);
  socket.once("end", () => socket.end());
  return {
    socket,
    received: () => text,
    async until(wanted) {
      while (!text.includes(wanted)) {
        if (socket.closed) throw new Error(`the connection ended after: ${text}`);
        await Promise.race([once(socket, "progress"), closeOf(socket)]);
      }
      return text;
    },
    async closed() {
      await closeOf(socket);
      return text;
    },
  };
}

/** Opens an HTTP/2 connection with Node's client. Its errors are for the test to look at. */
export async function openHttp2(address: PortAddress): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://${address.host}:${address.port}`);
  opened.push({ close: () => session.destroy() });
  session.on("error", () => undefined);
  await once(session, "connect");
  return session;
}

/** Waits until a stream is closed, however that comes: `once` of node:events rejects on an error. */
export async function closeOf(stream: EventEmitter & { readonly closed: boolean }): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once("close", resolve));
}

/** How an HTTP/2 request went. `status` is missing if no response came. */
export type Answer = { readonly status?: number | undefined; readonly body: string };

/** Reads a response to its end, or to whatever cuts it short. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let status: number | undefined;
  let body = "";
  stream.on("response", (headers) => {
    status = headers[":status"];
  });
  stream.on("data", (bytes: Buffer) => {
    body += bytes.toString("latin1");
  });
  stream.on("error", () => undefined);
  await closeOf(stream);
  return { status, body };
}

/** The 24 bytes with which an HTTP/2 client begins. */
export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Types of HTTP/2 frames. */
export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6 } as const;

export type Frame = {
  readonly type: number;
  readonly flags?: number;
  readonly stream?: number;
  readonly payload?: Uint8Array;
};

/** An HTTP/2 frame as it goes over the wire. */
export function frame({ type, flags = 0, stream = 0, payload = new Uint8Array(0) }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression. Names and values are shorter than 127 bytes. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const fields = Object.entries(headers).map(([name, value]) =>
    Buffer.from(
      `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
      "latin1",
    ),
  );
  return Buffer.concat(fields);
}
