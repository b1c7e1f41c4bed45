import { Code, type ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(() => gateway.stop());

const report = {
  hardwareId: "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
  sessionId: "s-1",
  source: "browser_agent",
  model: "gemini-3.8-flash",
  inputTokens: 1200,
  outputTokens: 34,
};
const client = () => createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));

/** `usage` of `/status`, and all of `/status` as it was sent. */
async function readStatus() {
  const text = await (await fetch(`${gateway.httpUrl}/status`)).text();
  return { text, usage: JSON.parse(text).usage as unknown };
}

describe("ReportUsage", () => {
  it.each([
    ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
    ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ])("is taken over %s and confirmed in words", async (_, transport) => {
    const answer = await createClient(StreamingService, transport(gateway.url)).reportUsage(report);
    expect(answer).toMatchObject({
      success: true,
      message: "recorded 1200 input and 34 output tokens",
    });
    expect((await readStatus()).usage).toEqual([
      {
        source: "browser_agent",
        model: "gemini-3.8-flash",
        reports: 1,
        inputTokens: 1200,
        outputTokens: 34,
      },
    ]);
  });

  it("is taken as Connect's JSON, by the contract's names", async () => {
    const response = await fetch(`${gateway.httpUrl}/streaming.StreamingService/ReportUsage`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ hardware_id: "d", source: "s", model: "m", input_tokens: 5 }),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      success: true,
      message: "recorded 5 input and 0 output tokens",
    });
  });

  it("adds up by source and model in /status, which names no device", async () => {
    await client().reportUsage(report);
    await client().reportUsage({ ...report, hardwareId: "another-device" });
    await client().reportUsage({ hardwareId: "a-third-device" });
    const { text, usage } = await readStatus();
    expect(usage).toMatchObject([
      { source: "browser_agent", reports: 2, inputTokens: 2400, outputTokens: 68 },
      { source: "unknown", model: "unknown", reports: 1, inputTokens: 0, outputTokens: 0 },
    ]);
    expect(text).not.toMatch(/3F2504E0|another-device|a-third-device|s-1/);
  });

  it("counts the 33rd source and model as other", async () => {
    for (let index = 0; index < 34; index++) {
      await client().reportUsage({ ...report, source: `s${index}`, model: `m${index}` });
    }
    const { usage } = await readStatus();
    expect(usage).toHaveLength(33);
    expect((usage as unknown[]).at(-1)).toMatchObject({
      source: "other",
      model: "other",
      reports: 2,
    });
  });

  it("takes names of 64 characters and 100,000,000 tokens", async () => {
    const most = { source: "é".repeat(64), model: "m".repeat(64), inputTokens: 100_000_000 };
    expect((await client().reportUsage({ ...report, ...most })).success).toBe(true);
  });

  it.each<[string, object]>([
    ["hardware_id", { hardwareId: "" }],
    ["session_id", { sessionId: "has spaces" }],
    ["source", { source: "x".repeat(65) }],
    ["source", { source: "a\nb" }],
    ["model", { model: "x".repeat(65) }],
    ["input_tokens", { inputTokens: -1 }],
    ["input_tokens", { inputTokens: 100_000_001 }],
    ["output_tokens", { outputTokens: -5 }],
  ])("refuses a bad %s with INVALID_ARGUMENT, and counts nothing", async (field, fields) => {
    const call = client().reportUsage({ ...report, ...fields });
    const error = (await call.catch((thrown: unknown) => thrown)) as ConnectError;
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toMatch(new RegExp(`^${field} `));
    expect(error.rawMessage).not.toMatch(/limit|quota|subscri/i);
    expect((await readStatus()).usage).toEqual([]);
  });
});
