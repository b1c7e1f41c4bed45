import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { readSpelling } from "../support/spelling-voice.ts";
import type { CanaryMessage, CanaryRequest, CanaryTurn } from "./canary.ts";

// Another client of the gateway, in a process of its own: what the attacker does to its own process
// must not look like harm to others. It speaks when told to, and reports how it went.

const [grpcPort, httpPort] = process.argv.slice(2).map(Number);
const baseUrl = `http://127.0.0.1:${grpcPort}`;
const sessionManager = new Http2SessionManager(baseUrl);
const client = createClient(
  StreamingService,
  createGrpcTransport({ baseUrl, sessionManager, defaultTimeoutMs: 20_000 }),
);

const tell = (message: CanaryMessage) => process.send?.(message);

/** Runs a turn and asks for `/health` meanwhile. */
async function speak({ id, prompt }: CanaryRequest): Promise<CanaryTurn> {
  const sound: Int16Array[] = [];
  let health: Promise<number> | undefined;
  let text = "";
  let maxGapMs = 0;
  let atMs: number | undefined;
  for await (const { content } of client.streamAudio({ prompt, hardwareId: "canary" })) {
    if (content.case === "textChunk") text += content.value;
    if (content.case !== "audioChunk") continue;
    const nowMs = performance.now();
    if (atMs === undefined) tell({ id, type: "speaking" });
    else maxGapMs = Math.max(maxGapMs, nowMs - atMs);
    atMs = nowMs;
    health ??= timeHealth();
    sound.push(samplesOf(content.value.audioData));
  }
  return { text, spelled: readSpelling(sound), maxGapMs, healthMs: (await health) ?? -1 };
}

/** Asks for `/health` twice; answers the longer time. */
async function timeHealth(): Promise<number> {
  let longestMs = 0;
  for (const delayMs of [10, 40]) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const begunMs = performance.now();
    const answer = await fetch(`http://127.0.0.1:${httpPort}/health`);
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`/health answered ${answer.status}`);
    longestMs = Math.max(longestMs, performance.now() - begunMs);
  }
  return longestMs;
}

process.on("message", (request: CanaryRequest) => {
  const { id } = request;
  speak(request).then(
    (turn) => tell({ id, type: "over", turn }),
    (error) => tell({ id, type: "failed", reason: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
