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
