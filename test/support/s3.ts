import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { S3Location } from "../../server/storage/blobs/blob-store.ts";

/** What an object store does to requests. */
type StoreFault = "none" | "error-500" | "slow" | "refuses-key" | "gone";

/** An object store on loopback that speaks S3's protocol, behind a proxy that can break. */
export type ObjectStore = AsyncDisposable & {
  readonly location: S3Location;
  /** The settings that reach it. */
  readonly env: Readonly<Record<string, string>>;
  /** Breaks or heals it. `slow` answers nothing. */
  play(fault: StoreFault): Promise<void>;
  /** Requests that came, by method. */
  readonly requests: string[];
};

/** The part of s3rver that is used here; it brings no types. */
type Store = {
  run(): Promise<{ readonly port: number }>;
  close(): Promise<void>;
};
type StoreOptions = {
  readonly address: string;
  readonly port: number;
  readonly silent: boolean;
  readonly directory: string;
  readonly configureBuckets: readonly { readonly name: string }[];
};

const require = createRequire(import.meta.url);
const S3rver: new (options: StoreOptions) => Store = require("s3rver");

const KEY = "S3RVER";
const BUCKET = "parley-tests";

/** Starts an object store that keeps its objects in a folder. */
export async function startObjectStore(folder: string): Promise<ObjectStore> {
  const store = new S3rver({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory: folder,
    configureBuckets: [{ name: BUCKET }],
  });
  const { port: storePort } = await store.run();
  const requests: string[] = [];
  let fault: StoreFault = "none";
  const proxy = createServer((incoming, outgoing) => {
    requests.push(incoming.method ?? "");
    if (fault === "none") return forward(incoming, outgoing, storePort);
    incoming.resume();
    if (fault === "error-500") outgoing.writeHead(500).end("<html>broken</html>");
    if (fault === "refuses-key") outgoing.writeHead(403).end(refusal);
  });
  const port = await listen(proxy, 0);
  return {
    location: {
      bucket: BUCKET,
      prefix: "",
      endpoint: `http://127.0.0.1:${port}`,
      region: "us-east-1",
      credentials: { accessKeyId: KEY, secretAccessKey: KEY },
      pathStyle: true,
    },
    env: {
      BLOB_STORE: `s3://${BUCKET}`,
      S3_ENDPOINT: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: KEY,
      AWS_SECRET_ACCESS_KEY: KEY,
    },
    requests,
    async play(next) {
      const wasGone = fault === "gone";
      fault = next;
      if (next === "gone" && !wasGone) await close(proxy);
      if (next !== "gone" && wasGone) await listen(proxy, port);
    },
    async [Symbol.asyncDispose]() {
      if (fault !== "gone") await close(proxy);
      await store.close();
    },
  };
}

const refusal =
  '<?xml version="1.0"?><Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>';

function forward(incoming: IncomingMessage, outgoing: ServerResponse, port: number): void {
  const { method, url, headers } = incoming;
  const passed = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  });
  passed.on("error", () => outgoing.destroy());
  // The client may leave before it has read all.
  outgoing.on("close", () => passed.destroy());
  incoming.pipe(passed);
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
