// A process that answers the serial way: it collects the whole text, then speaks one sentence after
// the other, each when the one before was sent. connect-node on Node's own HTTP/2 server.
import type { ConnectRouter } from "@connectrpc/connect";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { sentences } from "../server/core/text/sentences.ts";
import { audioStep, listenBare, type Step } from "./bare-server.ts";
import { servePipeline } from "./pipeline-child.ts";
import { createSlowProviders, type SlowProviders } from "./pipeline-providers.ts";
import type { ReplyPlan } from "./reply.ts";

function createRoutes({ write, speak }: SlowProviders) {
  async function* reply(turn: string, signal: AbortSignal): AsyncGenerator<Step> {
    const written = await Array.fromAsync(sentences(write(turn, signal)));
    for (const sentence of written) {
      yield { content: { case: "textChunk", value: sentence } };
      for await (const { pcm } of speak(sentence, signal)) yield audioStep(pcm);
    }
    yield { content: { case: "endMessage", value: "done" } };
  }

  return (router: ConnectRouter) =>
    router.service(StreamingService, {
      streamAudio: ({ prompt }, { signal }) => reply(prompt, signal),
      // Devices call it to connect.
      interruptSession: () => ({ success: true }),
    });
}

async function run(plan: ReplyPlan): Promise<void> {
  const providers = createSlowProviders(plan);
  servePipeline({
    ...(await listenBare(createRoutes(providers))),
    takeMarks: providers.takeMarks,
  });
}

await run(JSON.parse(process.argv[2] ?? "") as ReplyPlan);
