/** What Node's requests of HTTP/1.1 and HTTP/2 have in common with regard to their connection. */
export type ConnectedRequest = {
  readonly socket: object;
  /** HTTP/2 only. Its `socket` is another proxy object each time. */
  readonly stream?: { readonly session?: object | undefined };
};

/** The connection that a request came over. Requests of one connection get the same object. */
export function connectionOf({ socket, stream }: ConnectedRequest): object {
  return stream ? (stream.session ?? stream) : socket;
}

const token = "[\\w!#$%&'*+.^`|~-]+";
const typePattern = new RegExp(`^${token}/${token}$`);

/**
 * The media type that a Content-Type header names, in lower case and without parameters. Undefined
 * if the header is absent or malformed, or names a charset other than UTF-8, the only one that the
 * gateway reads.
 */
export function readMediaType(header = ""): string | undefined {
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  if (!typePattern.test(type)) return undefined;
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  return charset === undefined || /^charset="?utf-?8"?$/.test(charset) ? type : undefined;
}

/** A body that can be read in part, as Node's are. */
export type ReadableBody = {
  iterator(options: { readonly destroyOnReturn: boolean }): AsyncIterable<Uint8Array>;
};

/**
 * Reads a body as text, whether or not its length was announced. Returns undefined as soon as it exceeds
 * `maxBytes`; the port then drops the rest. Throws if the client disconnects before its end, and what
 * `onBytes` throws, which gets the size of each piece.
 */
export async function readText(
  body: ReadableBody,
  maxBytes: number,
  onBytes?: (bytes: number) => void,
): Promise<string | undefined> {
  const bytes = await readBytes(body, maxBytes, onBytes);
  return bytes && new TextDecoder().decode(bytes);
}

/** Reads a body as bytes, as `readText` does. */
export async function readBytes(
  body: ReadableBody,
  maxBytes: number,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body.iterator({ destroyOnReturn: false })) {
    bytes += piece.length;
    if (bytes > maxBytes) return undefined;
    onBytes(piece.length);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * The bytes as the body of a response, pulled as the client takes them. `onLeave` is called when the
 * client disconnects. `onFailure` is called when the bytes throw: it must cut the connection, because after
 * a clean end half a file would look complete.
 */
export function streamBody(
  bytes: AsyncGenerator<Uint8Array>,
  { onLeave, onFailure }: { readonly onLeave: () => void; readonly onFailure: () => void },
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        let step = await bytes.next();
        while (!step.done && step.value.length === 0) step = await bytes.next();
        if (!step.done) return controller.enqueue(step.value);
      } catch {
        onFailure();
      }
      controller.close();
    },
    cancel: onLeave,
  });
}
