/** Floor of each room of server/. A room imports itself and the rooms on lower floors. */
export const floors: Readonly<Record<string, number>> = {
  core: 0,
  models: 1,
  telemetry: 1,
  failover: 2,
  "local-tts": 2,
  providers: 2,
  conversation: 3,
  http: 4,
  rpc: 4,
  transport: 4,
};

/** What stands above the floors, the lowest first: each imports from the floors and those before. */
export const topPlaces: readonly string[] = [
  "config/",
  "adapters.ts",
  "handler.ts",
  "app.ts",
  "start-line.ts",
  "main.ts",
];

/** Rooms of concrete adapters: `server/adapters.ts` alone imports them. */
export const adapterRooms: readonly string[] = ["local-tts", "providers"];

/** Who imports the messages in gen/, beside tests. A place that ends in a slash is a folder. */
export const allowedGenImporters: readonly string[] = [
  "server/rpc/",
  "server/handler.ts",
  "web/",
  "examples/",
  "bench/",
  "tools/",
];
