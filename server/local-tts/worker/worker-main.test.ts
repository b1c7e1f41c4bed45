import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { startWorker } from "./worker-client.ts";

const folder = mkdtempSync(join(tmpdir(), "serve-engine-"));
afterAll(() => rmSync(folder, { recursive: true }));
let programs = 0;

/** Opens a link to a process that serves what this code creates. */
function open(create: string, args: readonly string[] = []) {
  programs += 1;
  const path = join(folder, `program-${programs}.mjs`);
  const module = JSON.stringify(new URL("./worker-main.ts", import.meta.url).href);
  writeFileSync(
    path,
    `import { runWorker, WorkerMisconfigured } from ${module}; runWorker(async () => { ${create} });`,
  );
  return startWorker({
    provider: "a voice",
    program: pathToFileURL(path),
    args,
    readyTimeoutMs: 20_000,
    speakTimeoutMs: 20_000,
  });
}

describe("runWorker", { timeout: 30_000 }, () => {
  it("speaks clauses, and reports failures", async () => {
    const link = open(
      `return { sampleRateHz: Number(process.argv[2]), async speak(text, pauseMs) {
        if (text === "") throw new Error("nothing to say");
        return Int16Array.of(text.length, pauseMs);
      } };`,
      ["24000"],
    );
    await link.ready;
    await expect(link.speak({ text: "", pauseMs: 0 })).rejects.toMatchObject({
      provider: "a voice",
      kind: "server",
      detail: "nothing to say",
    });
    expect(await link.speak({ text: "hello.", pauseMs: 250 })).toEqual({
      pcm: Int16Array.of(6, 250),
      sampleRateHz: 24_000,
    });
    await link.close();
  });

  it("distinguishes a misconfiguration from other failures", async () => {
    const misconfigured = open(`throw new WorkerMisconfigured("bring the model");`);
    await expect(misconfigured.ready).rejects.toMatchObject({
      misconfigured: true,
      message: expect.stringContaining("bring the model"),
    });
    await misconfigured.ended;
    const broken = open(`throw new Error("out of memory");`);
    await expect(broken.ready).rejects.toMatchObject({ misconfigured: false, kind: "server" });
    await broken.ended;
  });

  it("reports a missing module", async () => {
    const link = open(`return await import("no-such-package");`);
    await expect(link.ready).rejects.toMatchObject({
      message: "a voice: the voice cannot speak",
      detail: expect.stringContaining("no-such-package"),
    });
    await link.close();
  });
});
