import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerOptions } from "./worker-client.ts";

const folder = mkdtempSync(join(tmpdir(), "worker-client-"));
afterAll(() => rmSync(folder, { recursive: true }));
let programs = 0;

/** Starts a worker that runs this code. */
function open(code: string, limits: Partial<WorkerOptions> = {}) {
  programs += 1;
  const path = join(folder, `program-${programs}.mjs`);
  writeFileSync(path, code);
  return startWorker({
    provider: "a voice",
    program: pathToFileURL(path),
    readyTimeoutMs: 60_000,
    speakTimeoutMs: 20_000,
    ...limits,
  });
}

const ready = `process.send({ type: "ready" });`;
const onMessage = (code: string) => `${ready} process.on("message", (request) => { ${code} });`;
const request = { text: "hello.", pauseMs: 250 };
const failure = (kind: string, message: RegExp) => ({
  name: "ProviderError",
  provider: "a voice",
  kind,
  message: expect.stringMatching(message),
});

describe("startWorker", () => {
  it("sends a clause and returns its audio", async () => {
    const worker = open(
      onMessage(`process.send({
        type: "spoken", sampleRateHz: 100, pcm: Int16Array.of(request.text.length, request.pauseMs, -1)
      });`),
    );
    await worker.ready;
    for (let clause = 0; clause < 2; clause++) {
      const part = await worker.speak(request);
      expect(part).toEqual({ pcm: Int16Array.of(6, 250, -1), sampleRateHz: 100 });
    }
    await worker.close();
    await worker.ended;
  });

  it("gives the process none of the gateway's settings", async () => {
    process.env["PARLEY_TEST_SECRET"] = "secret";
    const worker = open(
      `process.send({ type: "failed", message: String(process.env.PARLEY_TEST_SECRET) });`,
    );
    delete process.env["PARLEY_TEST_SECRET"];
    await expect(worker.ready).rejects.toMatchObject({ detail: "undefined" });
    await worker.close();
  });

  it("reports why the voice could not be loaded", async () => {
    const worker = open(`process.send({ type: "failed", message: "no such model" });`);
    await expect(worker.ready).rejects.toMatchObject({
      ...failure("server", /^a voice: the voice cannot speak$/),
      detail: "no such model",
    });
    await worker.close();
  });

  it("fails when the process exits before it is ready, and keeps its stderr for the log", async () => {
    const worker = open(`process.stderr.write("no room in /a/path", () => process.exit(3));`);
    await expect(worker.ready).rejects.toMatchObject({
      ...failure("server", /^a voice: the worker exited$/),
      detail: "no room in /a/path",
    });
    await worker.ended;
  });

  it("fails when the process cannot be started at all", async () => {
    const execPath = process.execPath;
    process.execPath = join(folder, "no-such-program");
    const worker = open(ready);
    process.execPath = execPath;
    await expect(worker.ready).rejects.toMatchObject(failure("server", /exited/));
    await worker.close();
  });

  it("fails a clause that the voice cannot speak, and can speak the next", async () => {
    const worker = open(
      onMessage(`process.send(request.pauseMs === 0
        ? { type: "failed", message: "too hard" }
        : { type: "spoken", sampleRateHz: 1, pcm: Int16Array.of(1) });`),
    );
    await worker.ready;
    await expect(worker.speak({ ...request, pauseMs: 0 })).rejects.toMatchObject({
      ...failure("server", /cannot speak$/),
      detail: "too hard",
    });
    expect((await worker.speak(request)).pcm).toEqual(Int16Array.of(1));
    await worker.close();
  });

  it("fails a clause when the process exits, and every clause after", async () => {
    const worker = open(onMessage("process.abort();"));
    await worker.ready;
    await expect(worker.speak(request)).rejects.toMatchObject(failure("server", /exited/));
    await expect(worker.speak(request)).rejects.toMatchObject(failure("server", /exited/));
    await worker.ended;
  });

  it("kills a process that hangs, before it is ready and after", async () => {
    const deaf = open("setInterval(() => {}, 1000);", { readyTimeoutMs: 300 });
    await expect(deaf.ready).rejects.toMatchObject(failure("timeout", /did not respond/));
    await deaf.ended;
    const dumb = open(onMessage(""), { speakTimeoutMs: 100 });
    await dumb.ready;
    await expect(dumb.speak(request)).rejects.toMatchObject(failure("timeout", /did not respond/));
    await dumb.ended;
  });

  it("kills a process in the middle of a clause", async () => {
    const worker = open(onMessage("for (;;);"));
    await worker.ready;
    const spoken = worker.speak(request);
    const failed = expect(spoken).rejects.toMatchObject(failure("server", /exited/));
    await worker.close();
    await failed;
  });
});
