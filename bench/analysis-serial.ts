// A process that scores a file the old way: it decodes all of it into memory, and then scores one window
// after the other, with the same decoders and the same model. POST a file to it.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openFile } from "../server/analysis/decoding/decode.ts";
import { toWindows } from "../server/analysis/decoding/windows.ts";
import { readModelFile } from "../server/analysis/model-file.ts";
import { openScoringSession } from "../server/analysis/scoring/session.ts";
import { serveLoad } from "./child.ts";

const settings = JSON.parse(process.argv[3] ?? "{}") as { readonly ANALYSIS_MODEL: string };
const model = await readModelFile(settings.ANALYSIS_MODEL, "ANALYSIS_MODEL");
const session = await openScoringSession({ ...model, device: "cpu" });

const server = createServer(async (request, response) => {
  if (request.method !== "POST") {
    response.writeHead(405).end();
    return;
  }
  const { sound } = await openFile(request, { folder: "none" });
  const windows = await Array.fromAsync(toWindows(sound, { maxSeconds: 3600 }));
  let scored = 0;
  for (const window of windows) scored += (await session.score([window])).length;
  response.end(String(scored));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
serveLoad({
  url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  takeCancels: () => ({}),
  answers: () => ({}),
  stop: async () => void server.close(),
});
