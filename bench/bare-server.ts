import { once } from "node:events";
import { createServer, type Http2Server, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { StreamResponseSchema } from "../gen/streaming/streaming_pb.ts";
import { SAMPLE_RATE_HZ } from "./reply.ts";

/** One message of a stream, as a handler yields it. */
export type Step = MessageInitShape<typeof StreamResponseSchema>;

/** A frame of sound as the gateway sends it, without word timings. */
export function audioStep(pcm: Int16Array<ArrayBuffer>): Step {
  const audioData = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const shape = [pcm.length];
  const value = { audioData, dtype: "int16", shape, sampleRate: SAMPLE_RATE_HZ, channels: 1 };
  return { content: { case: "audioChunk", value } };
}

/** connect-node on Node's own HTTP/2 server, on a free port, with nothing in between. */
export async function listenBare(routes: (router: ConnectRouter) => void) {
  // As in the gateway, or the peer would spend its time on compressing sound.
  const compressMinBytes = Number.MAX_SAFE_INTEGER;
  return await listenHttp2(createServer(connectNodeAdapter({ routes, compressMinBytes })));
}

/** Lets a server of Node's HTTP/2 listen on a free port. Its stop ends every connection. */
export async function listenHttp2(server: Http2Server) {
  const sessions = new Set<Http2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}
