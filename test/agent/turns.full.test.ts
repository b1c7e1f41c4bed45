import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import { faultCommand } from "./agents.ts";

const faults = [
  ["is missing", ["/nowhere/neira-agent"], "mock", "cannot be started (ENOENT)"],
  ["exits at once", faultCommand("exit"), "mock", "exited with code 3"],
  ["is never ready", faultCommand("never-ready"), "mock", "no AGENT_READY"],
  ["is ready but deaf", faultCommand("deaf"), "mock", "health check failed"],
  ["crashes in a loop", faultCommand("crash"), "restarting", "exited with code 9"],
  ["dies in mid-stream", faultCommand("die-midway"), "ready", undefined],
  ["writes garbage", faultCommand("garbage"), "ready", undefined],
  ["floods its standard error", faultCommand("flood"), "ready", undefined],
] as const;

describe("a turn of another tier", { timeout: 60_000 }, () => {
  it.each(faults)(
    "is whole while the agent %s, which /status shows",
    async (_, argv, state, reason) => {
      await using gateway = await startChildGateway({
        AGENT_COMMAND: JSON.stringify(argv),
        AGENT_READY_TIMEOUT: "0.5",
      });
      const status = async () => {
        const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/status`);
        const { modules } = (await response.json()) as { modules: readonly object[] };
        return modules.find((module) => "name" in module && module.name === "agent");
      };
      const seen = {
        state,
        since: expect.any(String),
        restarts: expect.any(Number),
        ...(reason && { reason: expect.stringContaining(reason) }),
      };
      const untilSeen = vi.waitFor(async () => expect(await status()).toMatchObject(seen), {
        timeout: 30_000,
        interval: 10,
      });
      const baseUrl = `http://127.0.0.1:${gateway.grpcPort}`;
      const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
      let isSeen = false;
      untilSeen.then(() => {
        isSeen = true;
      });
      do {
        let text = "";
        const turn = client.streamAudio({ prompt: "say: One two three.", hardwareId: "device" });
        for await (const { content } of turn)
          if (content.case === "textChunk") text += content.value;
        expect(text).toBe("One two three.");
      } while (!isSeen);
      await untilSeen;
    },
  );
});
