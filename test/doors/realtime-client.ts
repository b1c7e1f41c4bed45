import { once } from "node:events";
import { WebSocket } from "ws";

/** An event of OpenAI's Realtime API. */
export type RealtimeEvent = { readonly type: string; readonly [field: string]: unknown };

/** A plain client of `/v1/realtime`, which shows every event. */
export type RealtimeClient = AsyncDisposable & {
  readonly events: readonly RealtimeEvent[];
  send(event: RealtimeEvent): void;
  /** Sends the user's words and asks for a response. */
  ask(text: string, response?: object): void;
  /** Waits for the `count`th event of this type, counted from 1. */
  until(type: string, count?: number): Promise<RealtimeEvent>;
  readonly socket: WebSocket;
};

/** Connects to a gateway's HTTP port. */
export async function connectRealtime(
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<RealtimeClient> {
  const url = `ws://127.0.0.1:${port}/v1/realtime?model=gpt-realtime`;
  const socket = new WebSocket(url, { headers });
  const events: RealtimeEvent[] = [];
  socket.on("message", (data) => {
    events.push(JSON.parse(`${data}`));
    socket.emit("progress");
  });
  socket.on("close", () => socket.emit("progress"));
  await once(socket, "open");
  const send = (event: RealtimeEvent) => socket.send(JSON.stringify(event));
  return {
    events,
    socket,
    send,
    ask(text, response) {
      const content = [{ type: "input_text", text }];
      const item = { type: "message", role: "user", content };
      send({ type: "conversation.item.create", item });
      send({ type: "response.create", ...(response && { response }) });
    },
    async until(type, count = 1) {
      for (;;) {
        const found = events.filter((event) => event.type === type)[count - 1];
        if (found) return found;
        if (socket.readyState === WebSocket.CLOSED) {
          throw new Error(`closed after ${events.map((event) => event.type).join(", ")}`);
        }
        await once(socket, "progress");
      }
    },
    async [Symbol.asyncDispose]() {
      if (socket.readyState === WebSocket.CLOSED) return;
      const closed = once(socket, "close");
      socket.terminate();
      await closed;
    },
  };
}
