import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { stallProcess } from "../support/stall.ts";
import { childrenOf, DEVICE, startAnalyzing, type TaskFields, WAIT, wavOf } from "./analyzing.ts";

const logit = (level: number) => 1 / (1 + Math.exp(-(level * 20 - 2)));
const rounded = (score: number) => Math.round(score * 10_000) / 10_000;

type Analyzing = Awaited<ReturnType<typeof startAnalyzing>>;
let analyzing: Analyzing;
beforeAll(async () => {
  analyzing = await startAnalyzing();
});
afterAll(async () => {
  await analyzing[Symbol.asyncDispose]();
});

describe("an upload", () => {
  it("is answered 202 once it is durable, and becomes scores and a conclusion", async () => {
    const { upload, untilOver, ask, files } = analyzing;
    const answer = await upload(wavOf({ seconds: 9.5, levels: [0.02, 0.05, 0.3] }), "a voice.wav");
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({
      filename: "a voice.wav",
      format: "wav",
      duration_seconds: 9.5,
      progress: { total: 3 },
      s3_bucket: "blobs",
      s3_key: expect.stringMatching(/^analysis\/[0-9a-f]{2}\/[0-9a-f]{64}$/),
    });
    expect(files()).toContain(answer.body.s3_key.slice(-64));
    const task = await untilOver(answer.body.task_id);
    const scores = Object.values(task.predictions ?? {});
    expect(task).toMatchObject({ status: "COMPLETED", progress: { done: 3, total: 3 } });
    expect(Object.keys(task.predictions ?? {})).toEqual(["chunk_0", "chunk_1", "chunk_2"]);
    expect(scores[0]).toBeCloseTo(logit(0.02), 3);
    expect(scores[1]).toBeCloseTo(logit(0.05), 3);
    // A padded window is silent behind its end: 1.5 s of 4.
    expect(scores[2]).toBeCloseTo(logit((0.3 * 1.5) / 4), 3);
    expect(scores).toEqual(scores.map(rounded));
    expect(task.analysis_results?.at(-1)).toEqual({
      chunk_id: "chunk_2",
      score: scores[2],
      start_time_seconds: 8,
      end_time_seconds: 9.5,
    });
    const mean = rounded(scores.reduce((a, b) => a + b) / 3);
    expect(task.result).toEqual({
      verdict: "genuine",
      mean,
      max: Math.max(...scores),
      threshold: 0.5,
      model: "loudness",
      limits: expect.stringContaining("A model for tests"),
    });
    const { body } = await ask<{ analyses: TaskFields[] }>("GET", "/api/v1/history");
    expect(body.analyses[0]).toEqual(task);
    expect((await ask("GET", `/api/v1/history/${task.task_id}`)).body).toEqual(task);
  });

  it("is a spoof above the threshold and its margin, and uncertain between", async () => {
    const verdicts = [];
    for (const level of [0.3, 0.1]) {
      verdicts.push(
        (await analyzing.analyze(wavOf({ seconds: 4, levels: [level] }))).result?.verdict,
      );
    }
    expect(verdicts).toEqual(["spoof", "uncertain"]);
  });

  it.each([
    ["shorter than a second", wavOf({ seconds: 0.5 }), "the file is shorter than 1 s: no score"],
    ["silent", wavOf({ seconds: 5, levels: [0] }), "the file is silent: no score"],
  ])("that is %s has no score and says why", async (_name, bytes, reason) => {
    expect(await analyzing.analyze(bytes)).toMatchObject({
      status: "COMPLETED",
      error_message: reason,
      predictions: {},
      analysis_results: [],
      result: { verdict: "uncertain", mean: null, max: null },
    });
  });

  it("has no score for its silent windows, and scores for the others", async () => {
    const task = await analyzing.analyze(wavOf({ seconds: 12, levels: [0.1, 0, 0.1] }));
    expect(Object.keys(task.predictions ?? {})).toEqual(["chunk_0", "chunk_2"]);
    expect(task).toMatchObject({ status: "COMPLETED", error_message: "1 of 3 windows are silent" });
  });

  it.each([
    ["8 kHz", wavOf({ seconds: 6, sampleRateHz: 8000 })],
    ["96 kHz", wavOf({ seconds: 6, sampleRateHz: 96_000 })],
    ["5.1 channels", wavOf({ seconds: 6, sampleRateHz: 48_000, channels: 6 })],
  ])("of %s is scored as the same sound at 16 kHz", async (_name, bytes) => {
    const task = await analyzing.analyze(bytes);
    expect(task.duration_seconds).toBe(6);
    expect(task.predictions?.chunk_0).toBeCloseTo(logit(0.1), 1);
  });

  it("takes samples that are not a number for silence", async () => {
    const header = Buffer.from(wavOf({ seconds: 0 }));
    const floats = Float32Array.from({ length: 80_000 }, (_, at) =>
      at % 2 === 0 ? Number.NaN : 0.1,
    );
    header.writeUInt16LE(3, 20);
    header.writeUInt32LE(64_000, 28);
    header.writeUInt16LE(4, 32);
    header.writeUInt16LE(32, 34);
    header.writeUInt32LE(floats.byteLength, 40);
    const task = await analyzing.analyze(Buffer.concat([header, Buffer.from(floats.buffer)]));
    expect(task.predictions?.chunk_0).toBeCloseTo(logit(0.05), 3);
  });

  it("shows its progress as events, to its end", async () => {
    const { body } = await analyzing.upload(wavOf({ seconds: 60 }));
    const response = await fetch(
      `${analyzing.gateway.httpUrl}/api/v1/audio/status/${body.task_id}`,
      { headers: { "x-hardware-id": DEVICE, accept: "text/event-stream" } },
    );
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = (await response.text()).trim().split("\n\n");
    const last = events.at(-1) ?? "";
    expect(last).toMatch(/^event: end\ndata: /);
    expect(JSON.parse(last.split("data: ")[1] ?? "")).toMatchObject({
      status: "COMPLETED",
      progress: { done: 15, total: 15 },
    });
    expect(events.slice(0, -1).every((event) => event.startsWith("event: progress\n"))).toBe(true);
  });
});

describe("a device", () => {
  it("sees and deletes its own analyses alone, and their files with them", async () => {
    const { ask, files, upload, untilOver } = analyzing;
    const bytes = wavOf({ seconds: 4.4, levels: [0.12] });
    const [one, two] = [await upload(bytes), await upload(bytes, "x", { device: "other" })];
    const id = one.body.task_id;
    const file = one.body.s3_key.slice(-64);
    await untilOver(id);
    await untilOver(two.body.task_id, { device: "other" });
    const routes = ["audio/status", "audio/file", "history"].map((name) => `/api/v1/${name}/${id}`);
    for (const route of routes) {
      expect((await ask("GET", route, { device: "other" })).status, route).toBe(404);
      expect((await ask("GET", route, { device: "" })).status, route).toBe(400);
    }
    expect((await ask("DELETE", `/api/v1/history/${id}`, { device: "other" })).status).toBe(404);
    const back = await fetch(`${analyzing.gateway.httpUrl}${routes[1]}`, {
      headers: { "x-hardware-id": DEVICE },
    });
    expect(back.headers.get("content-type")).toBe("audio/wav");
    expect(Buffer.from(await back.arrayBuffer()).equals(bytes)).toBe(true);
    expect((await ask("DELETE", `/api/v1/history/${id}`)).body).toMatchObject({ deleted: 1 });
    expect((await ask("GET", `/api/v1/history/${id}`)).status).toBe(404);
    // The other device has the same file.
    expect(files()).toContain(file);
    await ask("DELETE", "/api/v1/history", { device: "other" });
    expect(files()).not.toContain(file);
  });

  it("pages through its history", async () => {
    const device = "pages";
    const ids: string[] = [];
    for (const level of [0.1, 0.11, 0.12]) {
      const { body } = await analyzing.upload(wavOf({ seconds: 1, levels: [level] }), "x", {
        device,
      });
      ids.unshift(body.task_id);
    }
    type List = { readonly analyses: TaskFields[]; readonly next_before?: string };
    const list = (query: string) =>
      analyzing.ask<List>("GET", `/api/v1/history?${query}`, { device });
    const first = (await list("limit=2")).body;
    expect(first.analyses.map(({ task_id }) => task_id)).toEqual(ids.slice(0, 2));
    const second = (await list(`limit=2&before=${first.next_before}`)).body;
    expect(second.analyses.map(({ task_id }) => task_id)).toEqual(ids.slice(2));
    expect(second.next_before).toBeUndefined();
    expect((await list("limit=0")).status).toBe(400);
  });
});

describe("what is refused", () => {
  it.each([
    ["an empty file", Buffer.alloc(0), 400, "the file is empty"],
    [
      "text that calls itself sound",
      Buffer.from("no sound at all"),
      400,
      "no sound of a known format",
    ],
    ["a file that is cut short", wavOf({ seconds: 3 }).subarray(0, 50_000), 400, "cut short"],
    ["an M4A without a decoder", Buffer.from("\0\0\0\x20ftypM4A \0\0\0\0"), 415, "DECODE_COMMAND"],
    ["more than 10 MB", Buffer.alloc(10 * 1024 * 1024 + 1), 413, "bytes"],
  ])("%s leaves nothing behind", async (_name, bytes, status, reason) => {
    const device = "refused";
    const before = analyzing.files().length;
    const answer = await analyzing.upload(bytes, "voice.wav", { device });
    expect([answer.status, answer.body.error?.message]).toEqual([
      status,
      expect.stringContaining(reason),
    ]);
    const { body } = await analyzing.ask<{ analyses: [] }>("GET", "/api/v1/history", { device });
    expect([body.analyses, analyzing.files().length]).toEqual([[], before]);
  });

  it("more sound than a file may have is 413, as soon as it is known", async () => {
    await using short = await startAnalyzing({ env: { ANALYSIS_MAX_SECONDS: "5" } });
    const { status, body } = await short.upload(wavOf({ seconds: 6 }));
    expect([status, body.error?.message]).toEqual([413, "the file has more than 5 s of sound"]);
    expect(short.files()).toEqual([]);
  });

  it("is what is no form with one file", async () => {
    const url = `${analyzing.gateway.httpUrl}/api/v1/audio/upload`;
    const send = (body: FormData | string, type?: string) =>
      fetch(url, {
        method: "POST",
        headers: { "x-hardware-id": DEVICE, ...(type && { "content-type": type }) },
        body,
      });
    const other = new FormData();
    other.set("file", new Blob(["x"]), "x.wav");
    const text = new FormData();
    text.set("audiofile", "x");
    const answers = [
      await send("x", "audio/wav"),
      await send("x", "multipart/form-data; boundary=a"),
      await send(other),
      await send(text),
    ];
    expect(answers.map(({ status }) => status)).toEqual([415, 400, 400, 400]);
  });
});

describe("a task", () => {
  const workers = () => childrenOf("scoring/worker");

  it("whose worker dies in mid-window is run again, and one result stands", async () => {
    await using own = await startAnalyzing();
    const [first = 0] = workers().slice(-1);
    stallProcess(first);
    const { body } = await own.upload(wavOf({ seconds: 30 }));
    // A second one is started once the first is at work.
    const running = () => own.gateway.status().analysis.model.workers?.running;
    await vi.waitFor(() => expect(running()).toBe(2), WAIT);
    expect((await own.statusOf(body.task_id)).status).toBe("PROCESSING");
    process.kill(first, "SIGKILL");
    const task = await own.untilOver(body.task_id);
    expect(task).toMatchObject({ status: "COMPLETED", progress: { done: 8, total: 8 } });
    expect(Object.keys(task.predictions ?? {})).toHaveLength(8);
    expect(own.gateway.status().analysis).toMatchObject({ completed: 1, rerun: 1, failed: 0 });
  });

  it("whose worker dies each time is run again three times, and then has failed", async () => {
    const others = new Set(workers());
    await using own = await startAnalyzing();
    const killing = setInterval(() => {
      for (const pid of workers()) if (!others.has(pid)) process.kill(pid, "SIGKILL");
    }, 5);
    try {
      const { body } = await own.upload(wavOf({ seconds: 30 }));
      const task = await own.untilOver(body.task_id);
      expect(task.status).toBe("ERROR_PYTHON_PROCESSING");
      expect(task.message).toContain("the model's process failed");
      expect(own.gateway.status().analysis).toMatchObject({ completed: 0, rerun: 3, failed: 1 });
    } finally {
      clearInterval(killing);
    }
  });

  it("that is deleted while it runs ends at once and leaves nothing", async () => {
    await using own = await startAnalyzing();
    const [worker = 0] = workers().slice(-1);
    stallProcess(worker);
    const { body } = await own.upload(wavOf({ seconds: 30 }));
    await vi.waitFor(() => expect(own.gateway.status().analysis.queue.running).toBe(1), WAIT);
    expect((await own.ask("DELETE", `/api/v1/history/${body.task_id}`)).status).toBe(200);
    await vi.waitFor(() => expect(own.gateway.status().analysis.queue.running).toBe(0), WAIT);
    expect(own.files()).toEqual([]);
    process.kill(worker, "SIGCONT");
  });
});
