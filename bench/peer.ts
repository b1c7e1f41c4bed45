// A process that runs the peer: connect-node on Node's own HTTP/2 server, and a handler that sends
// the same text and the same frames as the gateway, with nothing in between.
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { audioStep, listenBare, type Step } from "./bare-server.ts";
import { serveLoad } from "./child.ts";
import { type BenchSpeech, createSpeech, type ReplyPlan, sentencesOf } from "./reply.ts";

function createRoutes(plan: ReplyPlan, speech: BenchSpeech) {
  const interrupts = new Map<string, AbortController>();

  async function* reply(turn: string, signal: AbortSignal): AsyncGenerator<Step> {
    for (const sentence of sentencesOf(plan, turn)) {
      yield { content: { case: "textChunk", value: sentence } };
      for await (const { pcm } of speech.speak(turn, signal)) yield audioStep(pcm);
    }
    yield { content: { case: "endMessage", value: "done" } };
  }

  return (router: ConnectRouter) =>
    router.service(StreamingService, {
      streamAudio({ prompt, hardwareId }, context) {
        const interrupt = new AbortController();
        interrupts.set(hardwareId, interrupt);
        return reply(prompt, AbortSignal.any([context.signal, interrupt.signal]));
      },
      interruptSession({ hardwareId }) {
        interrupts.get(hardwareId)?.abort(new ConnectError("interrupted", Code.Canceled));
        return { success: true };
      },
    });
}

async function run(plan: ReplyPlan): Promise<void> {
  const speech = createSpeech(plan);
  serveLoad({
    ...(await listenBare(createRoutes(plan, speech))),
    takeCancels: speech.takeCancels,
    answers: () => ({}),
  });
}

await run(JSON.parse(process.argv[2] ?? "") as ReplyPlan);
