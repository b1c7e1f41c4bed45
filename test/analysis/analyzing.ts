import { readdirSync, readFileSync } from "node:fs";
import { expect, vi } from "vitest";
import { wavHeader } from "../../server/core/audio/wav.ts";
import { createFolder, startStoring } from "../storage/databases.ts";
import { type ModelShape, writeModel } from "../support/analysis-models.ts";
import type { GatewayOptions } from "../support/gateway.ts";

/** A device of the tests. */
export const DEVICE = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
/** How long tests wait for what a busy machine does in a second. */
export const WAIT = { timeout: 40_000, interval: 20 };

/** What a test's sound is like. */
export type Sound = {
  readonly seconds: number;
  readonly sampleRateHz?: number;
  readonly channels?: number;
  /** Of full scale, by the window of 4 s. */
  readonly levels?: readonly number[];
};

/** A WAV file of 16 bits: a square wave, whose mean is its level. */
export function wavOf({
  seconds,
  sampleRateHz = 16_000,
  channels = 1,
  levels = [0.1],
}: Sound): Buffer {
  const frames = Math.round(seconds * sampleRateHz);
  const bytes = Buffer.alloc(frames * channels * 2);
  for (let frame = 0; frame < frames; frame++) {
    const window = Math.floor(frame / (4 * sampleRateHz));
    const level = levels[Math.min(window, levels.length - 1)] ?? 0;
    // 100 Hz: no filter takes anything of it away that matters.
    const isUp = Math.floor((frame * 200) / sampleRateHz) % 2 === 0;
    for (let channel = 0; channel < channels; channel++) {
      bytes.writeInt16LE(
        Math.round((isUp ? 1 : -1) * level * 32_767),
        (frame * channels + channel) * 2,
      );
    }
  }
  const header = wavHeader({ sampleRateHz, channels, dataBytes: bytes.length });
  return Buffer.concat([header, bytes]);
}

/** A task as the routes answer it. */
export type TaskFields = {
  readonly task_id: string;
  readonly status: string;
  readonly message?: string;
  readonly filename: string;
  readonly format: string;
  readonly duration_seconds: number;
  readonly s3_bucket: string;
  readonly s3_key: string;
  readonly progress: { readonly done: number; readonly total: number };
  readonly predictions?: Readonly<Record<string, number>> & { readonly chunk_0?: number };
  readonly analysis_results?: readonly {
    readonly chunk_id: string;
    readonly score: number;
    readonly start_time_seconds: number;
    readonly end_time_seconds: number;
  }[];
  readonly error_message?: string;
  readonly result?: { readonly verdict: string; readonly mean: number | null };
};

/** An answer of a route. */
export type Answer<Fields = TaskFields> = {
  readonly status: number;
  readonly body: Fields & { readonly error?: { readonly code: string; readonly message: string } };
};

/** What a test says of a request. */
type Asked = { readonly device?: string; readonly headers?: Readonly<Record<string, string>> };

/** Starts a gateway with a model for tests, and what a client does with it. */
export async function startAnalyzing(
  options: GatewayOptions & { readonly model?: ModelShape } = {},
) {
  const folder = createFolder();
  const path = writeModel(folder.path, options.model ?? { kind: "logit" });
  const env = { DATA_DIR: folder.path, ANALYSIS_MODEL: path, ...options.env };
  const gateway = await startStoring({ ...options, env });
  const ask = async <Fields = TaskFields>(
    method: string,
    route: string,
    { device = DEVICE, headers = {} }: Asked = {},
  ): Promise<Answer<Fields>> => {
    const response = await fetch(`${gateway.httpUrl}${route}`, {
      method,
      headers: { ...(device !== "" && { "x-hardware-id": device }), ...headers },
    });
    return { status: response.status, body: (await response.json()) as Answer<Fields>["body"] };
  };
  const upload = async (
    bytes: Uint8Array,
    name = "voice.wav",
    { device = DEVICE, headers = {} }: Asked = {},
  ): Promise<Answer> => {
    const form = new FormData();
    form.set("audiofile", new Blob([bytes as Uint8Array<ArrayBuffer>]), name);
    const response = await fetch(`${gateway.httpUrl}/api/v1/audio/upload`, {
      method: "POST",
      headers: { ...(device !== "" && { "x-hardware-id": device }), ...headers },
      body: form,
    });
    return { status: response.status, body: (await response.json()) as Answer["body"] };
  };
  const statusOf = async (id: string, asked?: Asked) =>
    (await ask("GET", `/api/v1/audio/status/${id}`, asked)).body;
  const untilOver = (id: string, asked?: Asked) =>
    vi.waitFor(async () => {
      const task = await statusOf(id, asked);
      expect(task.status).toMatch(/^(COMPLETED|ERROR_)/);
      return task;
    }, WAIT);
  return {
    gateway,
    folder,
    ask,
    upload,
    statusOf,
    untilOver,
    /** Uploads a file, and waits for what becomes of it. */
    async analyze(bytes: Uint8Array, name?: string): Promise<TaskFields> {
      const { status, body } = await upload(bytes, name);
      expect(body, `${status}`).toMatchObject({ task_id: expect.any(String) });
      return await untilOver(body.task_id);
    },
    /** The names of the files that the blob store has. */
    files: () => filesBelow(`${folder.path}/blobs/analysis`),
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function filesBelow(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The ids of processes that this one has started, and whose program has this in its path. */
export function childrenOf(program: string): readonly number[] {
  return readdirSync("/proc/self/task").flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, "utf8")
      .split(" ")
      .filter((pid) => pid !== "" && commandOf(pid).includes(program))
      .map(Number),
  );
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
