import { randomUUID } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { type Ask, CallFailed, type ConnectedClient, type Step } from "../support/client.ts";
import { bufCurlClients } from "../support/client-buf-curl.ts";
import { connectClients } from "../support/client-connect.ts";
import { curlClients } from "../support/client-curl.ts";
import { foreignClients } from "../support/client-foreign.ts";
import { grpcJsClient } from "../support/client-grpc-js.ts";
import { grpcWebClients } from "../support/client-grpc-web.ts";
import { protobufTsClients } from "../support/client-protobuf-ts.ts";
import { pythonClient } from "../support/client-python.ts";
import { startGateway } from "../support/gateway.ts";
import { FLOOD, PAUSED, WHOLE } from "../support/replies.ts";
import { readSpelling } from "../support/spelling-voice.ts";
import { NodeXmlHttpRequest } from "../support/xml-http-request.ts";

Object.assign(globalThis, { XMLHttpRequest: NodeXmlHttpRequest });

const clients = [
  grpcJsClient,
  ...connectClients,
  ...grpcWebClients,
  ...protobufTsClients,
  ...bufCurlClients,
  ...curlClients,
  pythonClient,
  ...foreignClients,
];

const PAUSED_TEXT = PAUSED.sentences.join("");

describe.for(clients)("$name", (client) => {
  const it = test.skipIf(client.missing);

  it("gets a whole turn: text, then its voice, and at last the end", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    const heard: Step[] = [];
    for await (const step of connected.turn(ask(WHOLE.prompt), never())) {
      heard.push(step);
      expect(textOf(heard).startsWith(voiceOf(heard))).toBe(true);
    }
    expect(textOf(heard)).toBe(WHOLE.reply);
    expect(voiceOf(heard)).toBe(WHOLE.reply);
    expect(heard.filter(isEnd)).toEqual([{ type: "end", message: "done" }]);
    expect(heard.at(-1)).toEqual({ type: "end", message: "done" });
    for (const step of heard) expect(step).toSatisfy(isWellFormed);
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  it("cancels a turn that waits for its provider, and hears nothing more", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    const cancel = new AbortController();
    const turn = listen(connected, ask(PAUSED.prompt), cancel.signal);
    await turn.until(() => client.collects === true || voiceOf(turn.steps) === PAUSED_TEXT);
    await gateway.untilSpoken(...PAUSED.sentences);
    const heard = turn.steps.length;
    cancel.abort();
    await expect(turn.ended).rejects.toThrow();
    await gateway.untilIdle();
    expect(turn.steps).toHaveLength(heard);
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });

  it("cancels a turn in full flow", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    const cancel = new AbortController();
    const turn = listen(connected, ask(FLOOD.prompt), cancel.signal);
    await turn.until(() => gateway.spoken.length > 20);
    cancel.abort();
    await expect(turn.ended).rejects.toThrow();
    await gateway.untilIdle();
    expect(turn.steps.filter(isEnd)).toEqual([]);
    expect(gateway.spoken.length).toBeLessThan(FLOOD.sentences);
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });

  it("is interrupted by a second connection, and may begin anew at once", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    using second = client.connect(gateway);
    const { sessionId, ...device } = ask(PAUSED.prompt);
    const turn = listen(connected, { sessionId, ...device }, never());
    await turn.until(() => client.collects === true || voiceOf(turn.steps) === PAUSED_TEXT);
    await gateway.untilSpoken(...PAUSED.sentences);

    const answer = await second.interrupt(device.deviceId);
    expect(answer).toMatchObject({ success: true, interruptedSessions: [sessionId] });
    const again = await Array.fromAsync(
      connected.turn({ ...device, sessionId, prompt: WHOLE.prompt }, never()),
    );
    expect(voiceOf(again)).toBe(WHOLE.reply);
    expect(again.at(-1)).toEqual({ type: "end", message: "done" });

    const failure = await turn.ended.catch((error) => error);
    expect(failure).toBeInstanceOf(CallFailed);
    expect(failure.code).toBe("canceled");
    expect(failure.reason).toBe(client.hidesTrailers ? undefined : "interrupted");
    expect([textOf(turn.steps), voiceOf(turn.steps)]).toEqual([PAUSED_TEXT, PAUSED_TEXT]);
    for (const step of turn.steps) expect(["text", "audio"]).toContain(step.type);
    expect(gateway.status().turns).toEqual({ interrupted: 1, done: 1 });
  });

  it("is interrupted in full flow", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    using second = client.connect(gateway);
    const request = ask(FLOOD.prompt);
    const turn = listen(connected, request, never());
    await turn.until(() => gateway.spoken.length > 20);
    const answer = await second.interrupt(request.deviceId);
    expect(answer.interruptedSessions).toEqual([request.sessionId]);
    await expect(turn.ended).rejects.toMatchObject({ code: "canceled" });
    for (const step of turn.steps) expect(["text", "audio"]).toContain(step.type);
    await gateway.untilIdle();
  });

  it("learns which field broke which rule", async () => {
    await using gateway = await startGateway();
    using connected = client.connect(gateway);
    const steps = Array.fromAsync(connected.turn({ prompt: "Hello", deviceId: "" }, never()));
    await expect(steps).rejects.toThrow("hardware_id is required and must not be empty");
    await expect(steps).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

function ask(prompt: string): Required<Ask> {
  return { prompt, deviceId: randomUUID(), sessionId: randomUUID() };
}

function never(): AbortSignal {
  return new AbortController().signal;
}

/** Runs a turn in the background. */
function listen(client: ConnectedClient, request: Ask, signal: AbortSignal) {
  const steps: Step[] = [];
  const read = async () => {
    for await (const step of client.turn(request, signal)) steps.push(step);
  };
  const ended = read();
  // Whoever waits for it comes later.
  ended.catch(() => undefined);
  return {
    steps,
    ended,
    /** Waits for the condition, 10 s at most. */
    until: (condition: () => boolean) =>
      vi.waitFor(() => expect(condition()).toBe(true), { timeout: 10_000, interval: 5 }),
  };
}

function textOf(steps: readonly Step[]): string {
  return steps.map((step) => (step.type === "text" ? step.text : "")).join("");
}

function voiceOf(steps: readonly Step[]): string {
  return readSpelling(
    steps.flatMap((step) => (step.type === "audio" ? [samplesOf(step.chunk.bytes)] : [])),
  );
}

function isEnd(step: Step): boolean {
  return step.type === "end";
}

/** What the contract promises of every message. */
function isWellFormed(step: Step): boolean {
  if (step.type === "text") return step.text !== "";
  if (step.type === "end") return step.message !== "";
  if (step.type === "error") return false;
  const { bytes, dtype, shape, sampleRate, channels } = step.chunk;
  const samples = bytes.byteLength / 2;
  expect({ dtype, shape, sampleRate, channels }).toEqual({
    dtype: "int16",
    shape: [samples],
    sampleRate: 48_000,
    channels: 1,
  });
  return samples > 0;
}
