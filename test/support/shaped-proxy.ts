import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy in front of a gateway, whose line can be made slow or cut. */
export type ShapedProxy = AsyncDisposable & {
  readonly url: string;
  /** How fast bytes come from the gateway from now on, in kbit/s; Infinity for no limit. */
  setRate(kilobits: number): void;
  /** Breaks every connection. */
  cut(): void;
};

const tickMs = 10;

/** Starts a proxy to the gateway at `target`. It passes what the client sends at once. */
export async function startShapedProxy(target: string): Promise<ShapedProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let bytesAMs = Number.POSITIVE_INFINITY;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    passSlowly(upstream, client, () => bytesAMs);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the proxy has no port");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}/`,
    setRate(kilobits) {
      bytesAMs = kilobits / 8;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

/** Passes bytes on in small slices, no faster than the rate. Holds the sender back while it waits. */
function passSlowly(from: Socket, to: Socket, rate: () => number): void {
  let credit = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // A pause of the sender earns no more than one slice.
    credit = Math.min(credit + (nowMs - lastMs) * rate(), Math.max(rate() * 50, 1));
    lastMs = nowMs;
    pass();
  }, tickMs);
  const pass = () => {
    const unlimited = !Number.isFinite(rate());
    const wanted = unlimited
      ? from.readableLength
      : Math.min(Math.floor(credit), from.readableLength);
    if (wanted < 1 || to.destroyed) return;
    const slice: Buffer | null = from.read(wanted);
    if (slice === null) return;
    if (!unlimited) credit -= slice.length;
    to.write(slice);
  };
  from.on("readable", pass);
  from.on("end", () => to.end());
  from.on("close", () => clearInterval(timer));
}
