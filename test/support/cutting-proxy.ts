import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy in front of a port of this machine, which cuts connections. */
export type CuttingProxy = AsyncDisposable & {
  readonly url: string;
  /** The next connections are cut after so many bytes of the answer. Infinity: never. */
  cutAfter(bytes: number): void;
  /** Called each time a limit cuts a connection. */
  onCut(listener: () => void): void;
  /** Cuts all connections now. */
  cut(): void;
  /** Connections that were cut. */
  cuts(): number;
};

/** Starts the proxy. It cuts nothing yet. */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const pairs = new Set<() => void>();
  let limit = Number.POSITIVE_INFINITY;
  let count = 0;
  let onCut = () => undefined as unknown;
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port });
    const close = () => {
      pairs.delete(close);
      client.destroy();
      upstream.destroy();
    };
    pairs.add(close);
    let left = limit;
    client.pipe(upstream);
    upstream.on("data", (bytes: Buffer) => {
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      forward(client, upstream, passed);
      if (left > 0) return;
      count += 1;
      pairs.delete(close);
      upstream.destroy();
      client.destroySoon();
      onCut();
    });
    for (const socket of [client, upstream]) {
      socket.on("error", close).on("close", close);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    count += pairs.size;
    for (const close of [...pairs]) close();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAfter(bytes) {
      limit = bytes;
    },
    onCut(listener) {
      onCut = listener;
    },
    cut,
    cuts: () => count,
    async [Symbol.asyncDispose]() {
      for (const close of [...pairs]) close();
      server.close();
      await once(server, "close");
    },
  };
}

/** With back-pressure: a reader that waits holds the gateway. */
function forward(client: Socket, upstream: Socket, bytes: Buffer): void {
  if (client.destroyed || client.write(bytes)) return;
  upstream.pause();
  client.once("drain", () => upstream.resume());
}
