// A process that runs @grpc/grpc-js with a handler that sends the same text and the same frames.
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { serveLoad } from "../child.ts";
import {
  type BenchSpeech,
  createSpeech,
  type ReplyPlan,
  SAMPLE_RATE_HZ,
  sentencesOf,
} from "../reply.ts";

type Request = { readonly prompt: string };

const proto = fileURLToPath(new URL("../../proto/streaming/streaming.proto", import.meta.url));

function loadService() {
  const loaded = loadPackageDefinition(loadSync(proto, { keepCase: true }));
  const { StreamingService } = loaded["streaming"] as Record<string, ServiceClientConstructor>;
  if (!StreamingService) throw new Error(`${proto} has no StreamingService`);
  return StreamingService.service;
}

function audioMessage(pcm: Int16Array<ArrayBuffer>) {
  const audio_data = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const shape = [pcm.length];
  return {
    audio_chunk: { audio_data, dtype: "int16", shape, sample_rate: SAMPLE_RATE_HZ, channels: 1 },
  };
}

function createReply(plan: ReplyPlan, speech: BenchSpeech) {
  return async (call: ServerWritableStream<Request, object>) => {
    const gone = new AbortController();
    call.once("cancelled", () => gone.abort(new Error("the client cancelled")));
    const write = async (message: object) => {
      if (!call.write(message)) await once(call, "drain", { signal: gone.signal });
    };
    const { prompt: turn } = call.request;
    for (const sentence of sentencesOf(plan, turn)) {
      await write({ text_chunk: sentence });
      for await (const { pcm } of speech.speak(turn, gone.signal)) await write(audioMessage(pcm));
    }
    await write({ end_message: "done" });
    call.end();
  };
}

async function run(plan: ReplyPlan): Promise<void> {
  const speech = createSpeech(plan);
  const reply = createReply(plan, speech);
  const server = new Server();
  server.addService(loadService(), {
    StreamAudio(call: ServerWritableStream<Request, object>) {
      // Only a client that leaves ends it early.
      reply(call).catch(() => call.end());
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  serveLoad({
    url: `http://127.0.0.1:${await promise}`,
    takeCancels: speech.takeCancels,
    answers: () => ({}),
    stop: async () => server.forceShutdown(),
  });
}

await run(JSON.parse(process.argv[2] ?? "") as ReplyPlan);
