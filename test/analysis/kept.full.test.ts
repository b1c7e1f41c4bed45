import { existsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { createFolder, query, startStoring } from "../storage/databases.ts";
import { runData } from "../storage/run-data.ts";
import { writeModel } from "../support/analysis-models.ts";
import { isWithoutDisk, mountDisk } from "../support/disk.ts";
import { itUnless } from "../support/it-unless.ts";
import { startObjectStore } from "../support/s3.ts";
import { stallProcess } from "../support/stall.ts";
import { childrenOf, DEVICE, startAnalyzing, WAIT, wavOf } from "./analyzing.ts";

const s3Folder = createFolder();
afterAll(() => s3Folder[Symbol.dispose]());

const day = 24 * 3600 * 1000;

describe("what is kept of analyses", () => {
  it("is exported with the files, and erased with them", async () => {
    await using analyzing = await startAnalyzing();
    const { folder, files } = analyzing;
    const bytes = wavOf({ seconds: 4.2 });
    const task = await analyzing.analyze(bytes);
    const exported = JSON.parse((await runData(folder, "export", DEVICE)).out);
    expect(exported.analyses).toEqual([
      expect.objectContaining({
        id: task.task_id,
        status: "COMPLETED",
        result: expect.objectContaining({ durationSeconds: 4.2 }),
        file: bytes.toString("base64"),
      }),
    ]);
    expect(JSON.parse((await runData(folder, "erase", DEVICE)).out)).toMatchObject({
      erased: { analyses: 1, files: 1 },
    });
    expect(files()).toEqual([]);
    expect((await analyzing.ask("GET", `/api/v1/history/${task.task_id}`)).status).toBe(404);
  });

  it("goes after RETENTION_DAYS, the file with its result", async () => {
    const folder = createFolder();
    const env = {
      DATA_DIR: folder.path,
      ANALYSIS_MODEL: writeModel(folder.path, { kind: "logit" }),
    };
    const first = await startAnalyzing({ env });
    const [old, young] = [
      await first.analyze(wavOf({ seconds: 4 })),
      await first.analyze(wavOf({ seconds: 5 })),
    ];
    await first[Symbol.asyncDispose]();
    const blob = join(folder.path, "blobs", old.s3_key);
    await query(
      folder.file(),
      `update analyses set created_at = ${Date.now() - 3 * day} where id = '${old.task_id}'`,
    );
    utimesSync(blob, new Date(Date.now() - 3 * day), new Date(Date.now() - 3 * day));
    // Rows go first; the sweep of the next start finds the file.
    const retention = { env: { ...env, RETENTION_DAYS: "2" } };
    const purging = await startStoring(retention);
    await vi.waitFor(async () => {
      expect(await query(folder.file(), "select id from analyses")).toEqual([[young.task_id]]);
    }, WAIT);
    await purging.stop();
    const sweeping = await startStoring(retention);
    await vi.waitFor(() => expect(existsSync(blob)).toBe(false), WAIT);
    await sweeping.stop();
    expect(existsSync(join(folder.path, "blobs", young.s3_key))).toBe(true);
    folder[Symbol.dispose]();
  });

  it("is taken up by the next gateway when the first one stops or dies", async () => {
    const folder = createFolder();
    const env = {
      DATA_DIR: folder.path,
      ANALYSIS_MODEL: writeModel(folder.path, { kind: "logit" }),
    };
    const others = new Set(childrenOf("scoring/worker"));
    const first = await startAnalyzing({ env });
    for (const pid of childrenOf("scoring/worker")) if (!others.has(pid)) stallProcess(pid);
    const { body } = await first.upload(wavOf({ seconds: 30 }));
    await vi.waitFor(() => expect(first.gateway.status().analysis.queue.running).toBe(1), WAIT);
    await first[Symbol.asyncDispose]();
    const rows = await query(folder.file(), "select status, runs, owner from analyses");
    expect(rows).toEqual([["PENDING", 0, null]]);
    // As a gateway that was killed leaves it, once its lease is over.
    await query(
      folder.file(),
      "update analyses set status = 'PROCESSING', owner = 'dead', runs = 1, lease_until = 1",
    );
    await using second = await startAnalyzing({ env });
    expect(await second.untilOver(body.task_id)).toMatchObject({ status: "COMPLETED" });
    folder[Symbol.dispose]();
  });
});

describe("a fault", () => {
  it("of the object store is 503 for uploads, ends tasks that need it, and heals", async () => {
    await using s3 = await startObjectStore(join(s3Folder.path, "s3"));
    await using analyzing = await startAnalyzing({ env: s3.env });
    const { body } = await analyzing.upload(wavOf({ seconds: 4 }));
    await analyzing.untilOver(body.task_id);
    await s3.play("gone");
    const refused = await analyzing.upload(wavOf({ seconds: 5 }));
    expect([refused.status, refused.body.error]).toEqual([
      503,
      { code: "unavailable", message: "the object store is not reachable" },
    ]);
    expect(
      (await analyzing.ask<{ analyses: [] }>("GET", "/api/v1/history")).body.analyses,
    ).toHaveLength(1);
    const url = analyzing.folder.file();
    await query(url, "update analyses set status = 'PENDING', result = null, runs = 0");
    const task = await analyzing.untilOver(body.task_id);
    expect(task).toMatchObject({
      status: "ERROR_MINIO_DOWNLOAD",
      message: "the object store is not reachable",
    });
    await s3.play("none");
    expect(await analyzing.analyze(wavOf({ seconds: 5 }))).toMatchObject({ status: "COMPLETED" });
  });

  itUnless(isWithoutDisk)("of a full disk is 503, keeps nothing, and heals", async () => {
    using folder = createFolder();
    using disk = mountDisk(folder.path, "8m");
    await using analyzing = await startAnalyzing({ env: { BLOB_STORE: disk.path } });
    const free = disk.fill();
    const refused = await analyzing.upload(wavOf({ seconds: 5 }));
    expect([refused.status, refused.body.error?.message]).toEqual([503, "the disk is full"]);
    expect((await analyzing.ask<{ analyses: [] }>("GET", "/api/v1/history")).body.analyses).toEqual(
      [],
    );
    free();
    expect(await analyzing.analyze(wavOf({ seconds: 5 }))).toMatchObject({ status: "COMPLETED" });
  });

  it("of storage that is off is 503 with the setting", async () => {
    await using analyzing = await startAnalyzing({ env: { STORAGE_ENABLED: "false" } });
    const { status, body } = await analyzing.upload(wavOf({ seconds: 5 }));
    expect([status, body.error?.message]).toEqual([
      503,
      "nothing is stored: STORAGE_ENABLED is false",
    ]);
    expect(analyzing.gateway.status().analysis.state).toBe("off");
  });
});
