import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { createCheckpoints } from "../../server/storage/checkpoints.ts";
import { connect } from "../../server/storage/connection.ts";
import { createFolder, query } from "./databases.ts";

const timeoutMs = 5000;

describe("checkpoints", () => {
  it("bring what was written into the file itself, while it stays open", async () => {
    using folder = createFolder();
    const url = folder.file();
    const connection = await connect({ url, timeoutMs, hasCheckpoints: true });
    try {
      await connection.client.execute("INSERT INTO devices VALUES ('a device', 1, 2)");
      const hasRow = () => readFileSync(connection.path ?? "").includes("a device");
      expect(hasRow()).toBe(false);
      connection.checkpoints?.request();
      await vi.waitFor(() => expect(hasRow()).toBe(true), { timeout: 10_000, interval: 100 });
    } finally {
      await connection.close();
    }
  });

  it("end before the connection is closed", { timeout: 20_000 }, async () => {
    using folder = createFolder();
    const url = folder.file();
    const connection = await connect({ url, timeoutMs, hasCheckpoints: true });
    const rows = "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000)";
    const fill = `INSERT INTO devices SELECT hex(randomblob(200)), x, x FROM ${rows} SELECT x FROM c)`;
    await connection.client.execute(fill);
    const checkpoints = createCheckpoints(connection.path ?? "");
    checkpoints.request();
    await sleep(1005);
    await checkpoints.close();
    await connection.close();
    expect(await query(url, "SELECT count(*) FROM devices")).toEqual([[20_000]]);
  });
});
