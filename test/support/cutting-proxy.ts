import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy in front of a port of this machine, which cuts connections, delays, and swallows. */
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
  /** Bytes of either side come so many milliseconds later from now on. Infinity: never, until another delay. */
  delay(ms: number): void;
};

/** Starts the proxy. It cuts nothing yet. */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const pairs = new Set<() => void>();
  let limit = Number.POSITIVE_INFINITY;
  let count = 0;
  let onCut = () => undefined as unknown;
  const line = createLine();
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port });
    const close = () => {
      pairs.delete(close);
      client.destroy();
      upstream.destroy();
    };
    pairs.add(close);
    let left = limit;
    client.on("data", (bytes: Buffer) => line.send(() => forward(upstream, client, bytes)));
    client.on("end", () => line.send(() => upstream.end()));
    upstream.on("data", (bytes: Buffer) => {
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      line.send(() => forward(client, upstream, passed));
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
    delay: line.delay,
    async [Symbol.asyncDispose]() {
      for (const close of [...pairs]) close();
      server.close();
      await once(server, "close");
    },
  };
}

/** Does in order what it is given, as much later as it was told to. */
function createLine() {
  const held: { readonly pass: () => void; readonly timer: NodeJS.Timeout | undefined }[] = [];
  let delayMs = 0;
  const release = () => {
    for (const { pass, timer } of held.splice(0)) {
      clearTimeout(timer);
      pass();
    }
  };
  return {
    send(pass: () => void) {
      if (delayMs === 0) return pass();
      const passFirst = () => held.shift()?.pass();
      const timer = Number.isFinite(delayMs) ? setTimeout(passFirst, delayMs) : undefined;
      held.push({ pass, timer });
    },
    /** What is held passes at once. */
    delay(ms: number) {
      release();
      delayMs = ms;
    },
  };
}

/** With back-pressure: a reader that waits holds the gateway. */
function forward(client: Socket, upstream: Socket, bytes: Buffer): void {
  if (client.destroyed || client.write(bytes)) return;
  upstream.pause();
  client.once("drain", () => upstream.resume());
}
