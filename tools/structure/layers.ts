/** Layer of each package (folder) of server/. A package imports itself and lower layers. */
export const layers: Readonly<Record<string, number>> = {
  core: 0,
  models: 1,
  telemetry: 1,
  cluster: 2,
  encoding: 2,
  failover: 2,
  limits: 2,
  "local-tts": 2,
  providers: 2,
  storage: 2,
  agent: 3,
  analysis: 3,
  auth: 3,
  conversation: 3,
  updates: 3,
  doors: 4,
  http: 4,
  rpc: 4,
  transport: 4,
};

/** What stands above the layers, the lowest first: each imports the layers and those before it. */
export const topPlaces: readonly string[] = [
  "config/",
  "adapters.ts",
  "cluster-parts.ts",
  "stores.ts",
  "feed.ts",
  "observers.ts",
  "tiers.ts",
  "gate.ts",
  "limit-gate.ts",
  "conversation-parts.ts",
  "ports.ts",
  "gateway-status.ts",
  "handler.ts",
  "app.ts",
  "data.ts",
  "start-line.ts",
  "token.ts",
  "release.ts",
  "main.ts",
];

/** Packages of concrete adapters: only `server/adapters.ts` imports them. */
export const adapterPackages: readonly string[] = ["local-tts", "providers"];

/** Who imports the messages in gen/, beside tests. A place that ends in a slash is a folder. */
export const allowedGenImporters: readonly string[] = [
  "server/agent/",
  "server/rpc/",
  "server/handler.ts",
  "web/",
  "examples/",
  "bench/",
  "tools/",
];
