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
