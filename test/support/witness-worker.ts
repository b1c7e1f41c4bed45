import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";

// The thread of `witness`: says once that it is ready, and after a "stop" what it saw.

const SENTENCES = "The first sentence is here. And another one follows it. Then there is a third.";

const { grpcPort, httpPort, pid } = workerData as {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly pid: number;
};
const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
const client = createClient(StreamingService, transport);
const seen = {
  turns: 0,
  error: undefined as string | undefined,
  longestGapMs: 0,
  slowestHealthMs: 0,
};
let over = false;

/**
 * A clock that stands still while the gateway's main thread, or this one, waits for a processor: other
 * work of the machine makes no gap. Linux counts the wait in nanoseconds.
 */
function nowMs(): number {
  const waits = [`/proc/${pid}/schedstat`, "/proc/thread-self/schedstat"].map((path) =>
    Number(readFileSync(path, "utf8").split(" ")[1]),
  );
  return waits.reduce((ms, waitNs) => ms - waitNs / 1e6, performance.now());
}

async function takeTurn(): Promise<void> {
  let words = "";
  let lastMs = nowMs();
  const request = { prompt: `say: ${SENTENCES}`, hardwareId: "witness" };
  for await (const { content } of client.streamAudio(request)) {
    const messageMs = nowMs();
    seen.longestGapMs = Math.max(seen.longestGapMs, messageMs - lastMs);
    lastMs = messageMs;
    if (content.case === "textChunk") words += content.value;
  }
  if (words !== SENTENCES) throw new Error(`the turn said: ${words}`);
  seen.turns += 1;
}

async function askHealth(): Promise<void> {
  const sinceMs = nowMs();
  const answer = await fetch(`http://127.0.0.1:${httpPort}/health`);
  if (answer.status !== 200) throw new Error(`/health answered ${answer.status}`);
  await answer.arrayBuffer();
  seen.slowestHealthMs = Math.max(seen.slowestHealthMs, nowMs() - sinceMs);
}

async function repeat(act: () => Promise<void>): Promise<void> {
  try {
    do {
      await act();
      await new Promise((resolve) => setTimeout(resolve, 5));
    } while (!over && seen.error === undefined);
  } catch (error) {
    seen.error ??= String(error);
  }
}

if (!parentPort) throw new Error("this is a thread of the tests");
// The first calls load code and open connections.
for (let count = 0; count < 3; count++) await Promise.all([takeTurn(), askHealth()]);
Object.assign(seen, { turns: 0, longestGapMs: 0, slowestHealthMs: 0 });
parentPort.postMessage("ready");
const watches = Promise.all([repeat(takeTurn), repeat(askHealth)]);
await once(parentPort, "message");
over = true;
await watches;
parentPort.postMessage(seen);
