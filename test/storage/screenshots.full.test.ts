import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RequestPhase, StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { InvalidConfig, readConfig } from "../../server/config/config.ts";
import type { ScreenshotStatus } from "../../server/conversation/screenshots.ts";
import type { Gateway } from "../support/gateway.ts";
import { createPicture, imageTypes, toBase64 } from "../support/pictures.ts";
import { type ObjectStore, startObjectStore } from "../support/s3.ts";
import { createFolder, query, readAll, startStoring } from "./databases.ts";
import { runData } from "./run-data.ts";

const hardwareId = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
const WAIT = { timeout: 20_000, interval: 20 };
const folder = createFolder();
let s3: ObjectStore;
beforeAll(async () => {
  s3 = await startObjectStore(join(folder.path, "s3rver"));
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const clientOf = ({ url }: Gateway) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: url }));
const statusOf = (gateway: Gateway) => gateway.status().screenshots as ScreenshotStatus;

type Told = { readonly screenshot: string; readonly device?: string };

/** Takes a turn; resolves with its end message. */
async function turn(gateway: Gateway, { screenshot, device = hardwareId }: Told) {
  const request = { prompt: "What is this?", hardwareId: device, screenshot };
  const size = { screenWidth: 1920, screenHeight: 1080 };
  const steps = clientOf(gateway).streamAudio({ ...request, ...size });
  return (await Array.fromAsync(steps)).at(-1)?.content.value;
}

const untilStored = (gateway: Gateway, count: number) =>
  vi.waitFor(() => expect(statusOf(gateway)).toMatchObject({ stored: count, waiting: 0 }), WAIT);

const get = (gateway: Gateway, id: string, device: string | undefined = hardwareId) =>
  fetch(`${gateway.httpUrl}/v1/screenshots/${id}`, {
    headers: device === "" ? {} : { "x-hardware-id": device },
  });

let pictures = 0;
/** A picture that no other test has. */
function nextPicture(type: (typeof imageTypes)[number] = "image/png") {
  pictures += 1;
  const picture = createPicture(type, 20 + pictures, 10 + pictures);
  return { id: sha256(picture.bytes), bytes: picture.bytes, screenshot: toBase64(picture) };
}

const forms = [
  ["a folder", () => ({})],
  ["S3", () => s3.env],
] as const;

describe.each(forms)("a screenshot, with %s", (_name, envOf) => {
  const open = async (env: Readonly<Record<string, string>> = {}) => {
    const own = createFolder();
    const gateway = await startStoring({ env: { DATA_DIR: own.path, ...envOf(), ...env } });
    const dispose = async () => {
      await gateway[Symbol.asyncDispose]();
      own[Symbol.dispose]();
    };
    return { own, gateway, [Symbol.asyncDispose]: dispose };
  };

  it.each(imageTypes)(
    "in %s is given back to the device that sent it, byte for byte",
    async (type) => {
      await using opened = await open();
      const { gateway, own } = opened;
      const { id, bytes, screenshot } = nextPicture(type);
      expect(await turn(gateway, { screenshot })).toBe("done");
      await untilStored(gateway, 1);
      const response = await get(gateway, id);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe(type);
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), bytes)).toBe(0);
      const { screenshots, turns } = await readAll(own.file(), hardwareId);
      expect(screenshots).toEqual([
        {
          deviceId: hardwareId,
          id,
          turnId: turns?.[0]?.["id"],
          createdAt: expect.any(Number),
          format: type.slice("image/".length),
          base64Length: screenshot.length,
          screenWidth: 1920,
          screenHeight: 1080,
        },
      ]);
    },
  );

  it("is given to nobody else: another's answers as one that does not exist", async () => {
    await using opened = await open();
    const { gateway } = opened;
    const { id, screenshot } = nextPicture();
    await turn(gateway, { screenshot });
    await untilStored(gateway, 1);
    const unknown = await get(gateway, sha256(Buffer.from("unknown")));
    expect(unknown.status).toBe(404);
    const refusal = await unknown.text();
    for (const [path, device] of [
      [id, "another-device"],
      [id.toUpperCase(), hardwareId],
      ["..%2f..%2fparley.db", hardwareId],
      ["x".repeat(5000), hardwareId],
    ] as const) {
      const response = await get(gateway, path, device);
      expect([response.status, await response.text()]).toEqual([404, refusal]);
    }
    const nameless = await get(gateway, id, "");
    expect([nameless.status, await nameless.json()]).toEqual([
      400,
      {
        error: {
          code: "invalid_argument",
          field: "x-hardware-id",
          message: "x-hardware-id is required and must not be empty",
        },
      },
    ]);
    const posted = await fetch(`${gateway.httpUrl}/v1/screenshots/${id}`, { method: "POST" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    // The same picture of another device is its own too.
    await turn(gateway, { screenshot, device: "another-device" });
    await untilStored(gateway, 2);
    expect((await get(gateway, id, "another-device")).status).toBe(200);
  });

  it("is exported and erased with its device; a picture that another has stays", async () => {
    await using opened = await open();
    const { gateway, own } = opened;
    const [mine, shared] = [nextPicture(), nextPicture()];
    for (const { screenshot } of [mine, shared]) await turn(gateway, { screenshot });
    await turn(gateway, { screenshot: shared.screenshot, device: "another-device" });
    await untilStored(gateway, 3);
    const where = { path: own.path, env: envOf() };
    const exported = await runData(where, "export", hardwareId);
    expect(exported).toMatchObject({ code: 0, error: "" });
    const { screenshots } = JSON.parse(exported.out);
    expect(screenshots).toHaveLength(2);
    // They are stored side by side.
    expect(screenshots).toEqual(
      expect.arrayContaining(
        [mine, shared].map((each) =>
          expect.objectContaining({ id: each.id, picture: each.screenshot }),
        ),
      ),
    );
    const erased = await runData(where, "erase", hardwareId);
    expect(JSON.parse(erased.out)).toMatchObject({ erased: { screenshots: 2, pictures: 1 } });
    expect((await get(gateway, mine.id)).status).toBe(404);
    expect((await get(gateway, shared.id)).status).toBe(404);
    expect((await get(gateway, shared.id, "another-device")).status).toBe(200);
  });

  it("of a prompt in pieces is kept once, with its turn", async () => {
    await using opened = await open();
    const { gateway } = opened;
    const { id, screenshot } = nextPicture();
    const sessionId = crypto.randomUUID();
    const piece = { prompt: "", hardwareId, sessionId, chunkText: "What is", screenshot };
    const client = clientOf(gateway);
    await Array.fromAsync(client.streamAudio({ ...piece, phase: RequestPhase.COLLECT }));
    expect(statusOf(gateway)).toMatchObject({ stored: 0, waiting: 0 });
    const commit = { hardwareId, sessionId, prompt: " this?", phase: RequestPhase.COMMIT };
    await Array.fromAsync(client.streamAudio(commit));
    await untilStored(gateway, 1);
    expect((await get(gateway, id)).status).toBe(200);
  });
});

describe("an object store", () => {
  it.each(["error-500", "gone", "slow"] as const)(
    "that is %s holds up no turn; the loss is counted, and it heals by itself",
    async (fault) => {
      using own = createFolder();
      await using gateway = await startStoring({ env: { DATA_DIR: own.path, ...s3.env } });
      await turn(gateway, { screenshot: nextPicture().screenshot });
      await untilStored(gateway, 1);
      await s3.play(fault);
      const lost = nextPicture();
      try {
        const startMs = performance.now();
        expect(await turn(gateway, { screenshot: lost.screenshot })).toBe("done");
        expect(performance.now() - startMs).toBeLessThan(3000);
        await vi.waitFor(
          () => expect(statusOf(gateway)).toMatchObject({ state: "degraded", lost: 1, waiting: 0 }),
          WAIT,
        );
        expect(await turn(gateway, { screenshot: lost.screenshot })).toBe("done");
        expect(statusOf(gateway)).toMatchObject({ lost: 2, waiting: 0 });
      } finally {
        await s3.play("none");
      }
      await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), WAIT);
      expect((await readAll(own.file(), hardwareId))["screenshots"]).toHaveLength(1);
      await turn(gateway, { screenshot: nextPicture().screenshot });
      await untilStored(gateway, 2);
    },
  );

  it("that cannot be asked is told as 503, and not as an unknown picture", async () => {
    using own = createFolder();
    await using gateway = await startStoring({ env: { DATA_DIR: own.path, ...s3.env } });
    const { id, screenshot } = nextPicture();
    await turn(gateway, { screenshot });
    await untilStored(gateway, 1);
    await s3.play("error-500");
    try {
      const response = await get(gateway, id);
      expect([response.status, await response.json()]).toEqual([
        503,
        { error: { code: "unavailable", message: "the object store failed" } },
      ]);
    } finally {
      await s3.play("none");
    }
  });

  it("whose object is gone loses the row too", async () => {
    using own = createFolder();
    await using gateway = await startStoring({ env: { DATA_DIR: own.path } });
    const { id, screenshot } = nextPicture();
    await turn(gateway, { screenshot });
    await untilStored(gateway, 1);
    rmSync(join(own.path, "blobs"), { recursive: true });
    expect((await get(gateway, id)).status).toBe(404);
    expect((await readAll(own.file(), hardwareId))["screenshots"]).toEqual([]);
    await turn(gateway, { screenshot });
    await untilStored(gateway, 2);
    expect((await get(gateway, id)).status).toBe(200);
  });
});

describe("SCREENSHOTS_ENABLED", () => {
  it("keeps no picture and makes no folder where it is false, and /status says so", async () => {
    using own = createFolder();
    const env = { DATA_DIR: own.path, SCREENSHOTS_ENABLED: "false" };
    await using gateway = await startStoring({ env });
    const { id, screenshot } = nextPicture();
    await turn(gateway, { screenshot });
    const status = await (await fetch(`${gateway.httpUrl}/status`)).json();
    expect(status).toMatchObject({ screenshots: { state: "off" } });
    expect((await get(gateway, id)).status).toBe(404);
    expect(existsSync(join(own.path, "blobs"))).toBe(false);
  });

  it("keeps none of a greeting, which is no prompt", async () => {
    using own = createFolder();
    await using gateway = await startStoring({ env: { DATA_DIR: own.path } });
    const { screenshot } = nextPicture();
    const greeting = { prompt: "__GREETING__:Welcome.", hardwareId, screenshot };
    await Array.fromAsync(clientOf(gateway).streamAudio(greeting));
    expect(statusOf(gateway)).toMatchObject({ stored: 0, waiting: 0 });
    expect(readdirSync(own.path)).not.toContain("blobs");
  });

  it("needs storage", () => {
    const env = { STORAGE_ENABLED: "false", SCREENSHOTS_ENABLED: "true" };
    expect(() => readConfig(env)).toThrow(InvalidConfig);
    expect(readConfig({ STORAGE_ENABLED: "false" }).screenshots.isEnabled).toBe(false);
  });
});

describe("the retention", () => {
  it("deletes rows, and the sweep of the next start their pictures", async () => {
    using own = createFolder();
    const env = { DATA_DIR: own.path, RETENTION_DAYS: "1" };
    const old = nextPicture();
    const young = nextPicture();
    {
      await using gateway = await startStoring({ env });
      await turn(gateway, { screenshot: old.screenshot });
      await turn(gateway, { screenshot: young.screenshot });
      await untilStored(gateway, 2);
    }
    await query(own.file(), `UPDATE screenshots SET created_at = 5 WHERE id = '${old.id}'`);
    for (const { id } of [old, young]) {
      utimesSync(join(own.path, "blobs/screenshots", id.slice(0, 2), id), 1000, 1000);
    }
    writeFileSync(join(own.path, "blobs/screenshots", "not-an-object"), "");
    {
      await using gateway = await startStoring({ env });
      await vi.waitFor(async () => {
        const rows = (await readAll(own.file(), hardwareId))["screenshots"];
        expect(rows).toHaveLength(1);
      }, WAIT);
      expect((await get(gateway, old.id)).status).toBe(404);
    }
    await using gateway = await startStoring({ env });
    await vi.waitFor(() => expect(statusOf(gateway).swept).toBe(1), WAIT);
    expect((await get(gateway, young.id)).status).toBe(200);
    expect(existsSync(join(own.path, "blobs/screenshots", old.id.slice(0, 2), old.id))).toBe(false);
  });
});
