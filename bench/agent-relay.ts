// A process that runs the floor of a call through another process: Node's own HTTP/2 on both sides, and
// bytes that are passed on as they come, with no check, no limit and no log.
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { startAgent } from "./agent-process.ts";
import { listenHttp2 } from "./bare-server.ts";
import { serveLoad } from "./child.ts";

function relay(agent: ClientHttp2Session, stream: ServerHttp2Stream, head: IncomingHttpHeaders) {
  let trailers: IncomingHttpHeaders = {};
  const call = agent.request({
    ":method": "POST",
    ":path": head[":path"],
    "content-type": head["content-type"],
    te: "trailers",
  });
  stream.on("data", (bytes) => call.write(bytes)).on("end", () => call.end());
  stream.on("wantTrailers", () =>
    stream.sendTrailers({ "grpc-status": trailers["grpc-status"] ?? "13" }),
  );
  call.on("response", (answer) =>
    stream.respond(
      { ":status": 200, "content-type": answer["content-type"] },
      { waitForTrailers: true },
    ),
  );
  call.on("trailers", (received) => {
    trailers = received;
  });
  call.on("data", (bytes) => stream.write(bytes)).on("end", () => stream.end());
  for (const side of [stream, call]) side.on("error", () => undefined);
}

const agent = await startAgent();
const session = connect("http://localhost", { createConnection: agent.createConnection });
const server = createServer();
server.on("stream", (stream, head) => relay(session, stream, head));
const { url, stop } = await listenHttp2(server);
serveLoad({
  url,
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    session.destroy();
    await stop();
    await agent.stop();
  },
});
