import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { wavHeader } from "../../server/core/audio/wav.ts";
import { writeModel } from "../../test/support/analysis-models.ts";
import { nowMs } from "../clock.ts";
import type { ReplyPlan } from "../reply.ts";
import type { Size } from "../size.ts";
import type { Figure, Scenario, Scene } from "./scenario.ts";

/** Nobody talks; a plan carries settings. */
const plan: ReplyPlan = { sentences: 1, framesPerSentence: 1, frameMs: 96, paced: false };
const RATE_HZ = 16_000;
const SAMPLE_MS = 25;
const MEBIBYTE = 1024 * 1024;
const BASELINE = fileURLToPath(
  new URL("../../server/analysis/baseline/model.onnx", import.meta.url),
);

/** How fast files are analyzed, and what memory that takes, by their length. */
export function analysis(size: Size): Scenario {
  const settings = {
    ANALYSIS_MODEL: modelPath(),
    STORAGE_ENABLED: "true",
    ANALYSIS_MAX_BYTES: String(64 * MEBIBYTE),
  };
  return {
    title: "Analysis of sound",
    about:
      "WAV files of 16 kHz, one after the other, the first of them not counted, with the model that ships. Memory: at its peak, of all processes, and of the one that decodes. Real-time factor: time from the first byte of the upload to the result, divided by the file's length; the gateway checks the file by decoding it first, stores it, and answers through its task. One at a time: a process that decodes the whole file into memory and scores window after window, with the same decoder and model.",
    variants: [
      { name: "gateway", server: "gateway", protocol: "gRPC", settings },
      { name: "one at a time", server: "analysis-serial", protocol: "gRPC", settings },
    ],
    repeats: size.repeats,
    plan,
    async measure(scene) {
      const { url } = scene.server;
      const analyze = (await isGateway(url)) ? analyzeByTask : analyzeAtOnce;
      await analyze(url, noise(4), scene.signal);
      const figures: Figure[] = [];
      for (const seconds of size.analysisSeconds) {
        figures.push(...(await run(scene, seconds, analyze)));
      }
      return figures;
    },
  };
}

function modelPath(): string {
  if (existsSync(BASELINE)) return BASELINE;
  return writeModel(mkdtempSync(join(tmpdir(), "parley-bench-model-")), { kind: "logit" });
}

/** The other one takes files alone. */
async function isGateway(url: string): Promise<boolean> {
  const { status, body } = await fetch(`${url}/health`);
  await body?.cancel();
  return status === 200;
}

type Analyze = (url: string, file: Uint8Array, signal: AbortSignal) => Promise<void>;

async function run(
  { server, signal }: Scene,
  seconds: number,
  analyze: Analyze,
): Promise<readonly Figure[]> {
  const file = noise(seconds);
  const peak = { all: 0, decoding: 0 };
  const watch = setInterval(() => {
    const processes = treeOf(server.pid);
    const decoding = processes.filter(({ command }) => command.includes("decoding/worker"));
    peak.all = Math.max(peak.all, bytesOf(processes));
    // The other one decodes in its only process.
    const isAlone = processes.length === 1;
    peak.decoding = Math.max(peak.decoding, bytesOf(isAlone ? processes : decoding));
  }, SAMPLE_MS);
  const begunMs = nowMs();
  try {
    await analyze(server.url, file, signal);
  } finally {
    clearInterval(watch);
  }
  const tookMs = nowMs() - begunMs;
  return [
    { name: `${seconds} s: real-time factor`, value: tookMs / 1000 / seconds },
    { name: `${seconds} s: memory that decodes, at its peak, MB`, value: peak.decoding / MEBIBYTE },
    { name: `${seconds} s: memory of all processes, at its peak, MB`, value: peak.all / MEBIBYTE },
  ];
}

/** Uploads, and follows the task's events to their end. */
async function analyzeByTask(url: string, file: Uint8Array, signal: AbortSignal): Promise<void> {
  const headers = { "x-hardware-id": "bench" };
  const body = new FormData();
  body.set("audiofile", new Blob([file as Uint8Array<ArrayBuffer>]), "bench.wav");
  const answer = await fetch(`${url}/api/v1/audio/upload`, {
    method: "POST",
    headers,
    body,
    signal,
  });
  const { task_id: id, error } = (await answer.json()) as { task_id: string; error?: unknown };
  if (answer.status !== 202) throw new Error(`not taken: ${JSON.stringify(error)}`);
  const events = await fetch(`${url}/api/v1/audio/status/${id}`, {
    headers: { ...headers, accept: "text/event-stream" },
    signal,
  });
  const text = await events.text();
  if (!text.includes('"COMPLETED"')) throw new Error(`not completed: ${text.slice(-500)}`);
}

async function analyzeAtOnce(url: string, file: Uint8Array, signal: AbortSignal): Promise<void> {
  const body = file as Uint8Array<ArrayBuffer>;
  const answer = await fetch(url, { method: "POST", body, signal });
  if (answer.status !== 200) throw new Error(`not scored: ${answer.status}`);
  await answer.text();
}

/** Noise, no two files alike: equal ones would be one. */
function noise(seconds: number): Uint8Array {
  const pcm = Int16Array.from({ length: seconds * RATE_HZ }, () => (Math.random() - 0.5) * 16_000);
  const header = wavHeader({ sampleRateHz: RATE_HZ, channels: 1, dataBytes: pcm.byteLength });
  return Buffer.concat([header, Buffer.from(pcm.buffer)]);
}

type Process = { readonly command: string; readonly bytes: number };

/** A process and all that it has started. */
function treeOf(pid: number | string | undefined): readonly Process[] {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
    const bytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim().split(" "),
    );
    return [{ command, bytes }, ...children.filter((each) => each !== "").flatMap(treeOf)];
  } catch {
    return [];
  }
}

function bytesOf(processes: readonly Process[]): number {
  return processes.reduce((sum, { bytes }) => sum + bytes, 0);
}
