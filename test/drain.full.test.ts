import { once } from "node:events";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type ChildGateway, startChildGateway } from "./support/child-gateway.ts";

// Real processes, stopped by real signals.

/** Some 50 s of sound, at the speed of the voice that beeps. */
const long = `say: ${"This is one sentence of a long turn, and more of them follow. ".repeat(15)}`;

const clientOf = (gateway: ChildGateway) =>
  createClient(
    StreamingService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${gateway.grpcPort}` }),
  );

/** A turn whose client reads a message every so many milliseconds. */
async function openTurn(gateway: ChildGateway, everyMs: number) {
  const request = { prompt: long, hardwareId: "d" };
  const cases: (string | undefined)[] = [];
  const begun = Promise.withResolvers<void>();
  const run = async () => {
    for await (const { content } of clientOf(gateway).streamAudio(request)) {
      cases.push(content.case);
      if (content.case === "audioChunk") begun.resolve();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const ended = run().then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );
  await begun.promise;
  return { cases, ended };
}

const readiness = async ({ httpPort }: ChildGateway, path: string) =>
  (await fetch(`http://127.0.0.1:${httpPort}${path}`, { headers: { connection: "close" } })).status;

/** Whether every process in the group of its children is gone. */
const isGone = ({ process: child }: ChildGateway) =>
  child.exitCode !== null || child.signalCode !== null;

describe("SIGTERM", () => {
  it("turns readiness red, refuses new turns, lets the running one end, and exits with 0", async () => {
    await using gateway = await startChildGateway();
    const exit = once(gateway.process, "exit");
    const health = createClient(
      Health,
      createGrpcTransport({ baseUrl: `http://127.0.0.1:${gateway.grpcPort}` }),
    );
    const states: Status[] = [];
    const watch = (async () => {
      for await (const { status } of health.watch({})) states.push(status);
    })();
    const turn = await openTurn(gateway, 5);
    expect(await readiness(gateway, "/readyz")).toBe(200);
    gateway.process.kill("SIGTERM");
    await watch;
    expect(states).toEqual([Status.SERVING, Status.NOT_SERVING]);
    expect(await readiness(gateway, "/readyz")).toBe(503);
    expect(await readiness(gateway, "/health")).toBe(503);
    expect(await readiness(gateway, "/livez")).toBe(200);
    const refused = (async () => {
      for await (const _ of clientOf(gateway).streamAudio({ prompt: "say: Hi.", hardwareId: "e" }));
    })();
    await expect(refused).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the gateway is stopping",
    });
    expect(await turn.ended).toBeUndefined();
    expect(turn.cases.at(-1)).toBe("endMessage");
    expect(await exit).toEqual([0, null]);
  });

  it("ends a turn with the shutdown status at the end of the grace", async () => {
    await using gateway = await startChildGateway({ SHUTDOWN_GRACE: "1" });
    const exit = once(gateway.process, "exit");
    const turn = await openTurn(gateway, 100);
    const stoppedMs = performance.now();
    gateway.process.kill("SIGTERM");
    const error = await turn.ended;
    expect(performance.now() - stoppedMs).toBeGreaterThan(900);
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: "the gateway is stopping" });
    expect(error?.metadata.get("parley-reason")).toBe("shutdown");
    expect(turn.cases.at(-1)).toBe("errorMessage");
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - stoppedMs).toBeLessThan(6000);
  });

  it("exits at once without a turn", async () => {
    await using gateway = await startChildGateway();
    const exit = once(gateway.process, "exit");
    const stoppedMs = performance.now();
    gateway.process.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - stoppedMs).toBeLessThan(3000);
  });
});

describe("a second signal", () => {
  it("exits at once, whatever runs", async () => {
    await using gateway = await startChildGateway();
    const exit = once(gateway.process, "exit");
    const turn = await openTurn(gateway, 100);
    gateway.process.kill("SIGTERM");
    await expect.poll(() => readiness(gateway, "/readyz")).toBe(503);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(isGone(gateway)).toBe(false);
    gateway.process.kill("SIGTERM");
    expect(await exit).toEqual([1, null]);
    expect(await turn.ended).toBeDefined();
  });
});
