import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { ConversationService } from "../../gen/parley/v1/conversation_pb.ts";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import { createFolder, query, readAll } from "./databases.ts";

/** How often the process is killed: `npm test`, `npm run test:full`, `npm run test:soak`. */
const killsOf: Readonly<Record<string, number>> = { full: 10, soak: 200 };
const KILLS = killsOf[process.env["MODE"] ?? ""] ?? 2;

const hardwareId = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";

/** What a client was told is kept: that a turn ended, and how far it was heard. */
type Acknowledged = { readonly turnId: string; isReported: boolean };

/** Takes turns, reports each as unheard, and interrupts some, until the gateway is gone. */
async function takeTurns(grpcPort: number, acknowledged: Acknowledged[]): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
  const streaming = createClient(StreamingService, transport);
  const conversation = createClient(ConversationService, transport);
  for (;;) {
    const turnId = randomUUID();
    const steps = streaming.streamAudio({ prompt: "say: One two three.", hardwareId, turnId });
    const last = (await Array.fromAsync(steps)).at(-1);
    if (last?.content.value !== "done") throw new Error("the turn did not end well");
    const turn: Acknowledged = { turnId, isReported: false };
    acknowledged.push(turn);
    await conversation.reportPlayback({ hardwareId, turnId, samplesPlayed: 0n });
    turn.isReported = true;
  }
}

describe("kill -9", () => {
  it("at any moment loses no turn and no report that was acknowledged, and leaves the database sound", {
    timeout: 60_000 + KILLS * 20_000,
  }, async () => {
    using folder = createFolder();
    const acknowledged: Acknowledged[] = [];
    for (let round = 0; round < KILLS; round++) {
      await using gateway = await startChildGateway({
        STORAGE_ENABLED: "true",
        DATA_DIR: folder.path,
      });
      const before = acknowledged.length;
      const lanes = [0, 1, 2].map(() => takeTurns(gateway.grpcPort, acknowledged));
      const gone = Promise.allSettled(lanes);
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before), {
        timeout: 30_000,
        interval: 5,
      });
      await sleep(Math.random() * 400);
      gateway.process.kill("SIGKILL");
      await gone;
      const rows = (await readAll(folder.file(), hardwareId))["turns"] ?? [];
      const stored = new Map(rows.map((row) => [row["id"], row]));
      for (const { turnId, isReported } of acknowledged) {
        const row = stored.get(turnId);
        expect(row).toMatchObject({ status: "done", reply: "One two three." });
        if (isReported) expect(row).toMatchObject({ heard: "", heardSamples: 0 });
      }
      expect(await query(folder.file(), "PRAGMA integrity_check")).toEqual([["ok"]]);
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS);
  });
});
