// A process that runs the wire's floor: Node's own HTTP/2 server, whose every message was encoded
// beforehand.
import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { buffer } from "node:stream/consumers";
import { audioStep, listenHttp2 } from "../bare-server.ts";
import { serveLoad } from "../child.ts";
import { type BenchSpeech, createSpeech, type ReplyPlan, sentencesOf } from "../reply.ts";
import { encodeStep, promptOf } from "./messages.ts";

const head = { ":status": 200, "content-type": "application/grpc+proto" };
const trailers = { "grpc-status": "0" };

function createReply(plan: ReplyPlan, speech: BenchSpeech) {
  const end = encodeStep({ content: { case: "endMessage", value: "done" } });
  const encoded = new Map<number, Buffer>();
  const encode = (pcm: Int16Array<ArrayBuffer>) => {
    const known = encoded.get(pcm.byteOffset) ?? encodeStep(audioStep(pcm));
    encoded.set(pcm.byteOffset, known);
    return known;
  };
  return async (stream: ServerHttp2Stream) => {
    const turn = promptOf(await buffer(stream));
    const gone = new AbortController();
    stream.once("close", () => gone.abort(new Error("the client disconnected")));
    const write = async (bytes: Buffer) => {
      if (!stream.write(bytes)) await once(stream, "drain", { signal: gone.signal });
    };
    stream.respond(head, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers(trailers));
    for (const sentence of sentencesOf(plan, turn)) {
      await write(encodeStep({ content: { case: "textChunk", value: sentence } }));
      for await (const { pcm } of speech.speak(turn, gone.signal)) await write(encode(pcm));
    }
    stream.end(end);
  };
}

async function run(plan: ReplyPlan): Promise<void> {
  const speech = createSpeech(plan);
  const reply = createReply(plan, speech);
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    reply(stream).catch(() => stream.close());
  });
  serveLoad({
    ...(await listenHttp2(server)),
    takeCancels: speech.takeCancels,
    answers: () => ({}),
  });
}

await run(JSON.parse(process.argv[2] ?? "") as ReplyPlan);
