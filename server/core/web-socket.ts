/** A message of a WebSocket: text as a string, binary as bytes. */
export type WebSocketMessage = string | Uint8Array;

/** One open WebSocket, as its route reads and writes it. */
export type WebSocketChannel = {
  /**
   * What the client sends, in order. Ends when the client closes the connection or is lost. The client
   * is read only as fast as this is, so a route that runs a turn goes on reading meanwhile.
   */
  readonly messages: AsyncIterable<WebSocketMessage>;
  /**
   * Sends one message. Resolves when the client has taken enough of what was sent before: wait for it,
   * and a slow client slows the turn. Throws `TurnCancelled` (disconnected) once the connection closes.
   */
  send(message: WebSocketMessage): Promise<void>;
  /** Closes the connection after what was sent. `code` is 1000, or 4000 to 4999. */
  close(code: number, reason: string): void;
  /** Fires with `TurnCancelled`: disconnected when the connection is closed, or revoked with the token. */
  readonly signal: AbortSignal;
  /** The subprotocol that both speak; "" if none was agreed on. */
  readonly subprotocol: string;
};

/** The request that opened a WebSocket. Its host and its origin may call. */
export type WebSocketRequest = {
  /** Path and query; the host is not to be relied on. */
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The connection, compared by identity: a turn's `connection`. */
  readonly connection: object;
};

/** Who opened a WebSocket: a caller of auth/. */
export type WebSocketCaller = {
  /** The device of the token. Absent without authentication. */
  readonly deviceId?: string;
  /** Fires when the token is revoked; the connection is closed then (1008). */
  readonly signal?: AbortSignal;
};

/** Answers a request for a WebSocket instead of opening one. */
export type WebSocketRefusal = {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A path that speaks WebSocket. Other requests for the path go to the HTTP routes. */
export type WebSocketRoute = {
  /** The whole path: `/v1/realtime`. */
  readonly path: string;
  /** Subprotocols that it speaks, best first. The first that the client offers as well is agreed on. */
  readonly subprotocols?: readonly string[];
  /** Bytes of a message. A longer one closes the connection (1009). */
  readonly maxMessageBytes: number;
  /**
   * What stands for the header `authorization` where the vendor's client puts its key elsewhere, in a
   * subprotocol say: `Bearer KEY`. Undefined: the header itself.
   */
  authorizationOf?(request: WebSocketRequest): string | undefined;
  /** Checks a request before the WebSocket is opened. Undefined opens it. */
  refuse?(request: WebSocketRequest): WebSocketRefusal | undefined;
  /**
   * Serves one connection. It is closed when this resolves (1000), or rejects: 1001 for a `TurnCancelled`,
   * 1011 and a line in the log for anything else.
   */
  serve(
    channel: WebSocketChannel,
    request: WebSocketRequest,
    caller: WebSocketCaller,
  ): Promise<void>;
};
