import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../server/core/errors.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { PAUSED, replyTo } from "./support/replies.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

let gateway: Gateway;
let text: string;

/** The value of a series as it stands in the text. */
const value = (series: string) =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length),
  );

const scrape = async () => (await fetch(`${gateway.httpUrl}/metrics`)).text();

beforeAll(async () => {
  const failing = createScriptedLanguageModel(() => {
    throw new ProviderError("failing", "server", "went away");
  });
  gateway = await startGateway({
    languageModels: [
      { ...failing, name: "failing" },
      createScriptedLanguageModel(({ text: prompt }) => replyTo(prompt)),
    ],
  });
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
  await Array.fromAsync(client.streamAudio({ prompt: "Hello.", hardwareId: "secret-device" }));
  const paused = client.streamAudio({ prompt: PAUSED.prompt, hardwareId: "secret-device" });
  const reading = paused[Symbol.asyncIterator]();
  await reading.next();
  expect(await scrape()).toContain("parley_active_turns 1");
  await client.interruptSession({ hardwareId: "secret-device" });
  const drain = async () => {
    while (!(await reading.next()).done);
  };
  await expect(drain()).rejects.toThrow("interrupted");
  await client.reportUsage({
    hardwareId: "secret-device",
    sessionId: "s",
    source: "browser_agent",
    model: "m",
    inputTokens: 3,
    outputTokens: 4,
  });
  await gateway.untilIdle();
  text = await scrape();
});
afterAll(() => gateway.stop());

describe("GET /metrics", () => {
  it("answers in Prometheus' text format", async () => {
    const response = await fetch(`${gateway.httpUrl}/metrics`);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const line of (await response.text()).trim().split("\n").filter(Boolean)) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"\n]*",?)+\})? [\d.e+-]+)$/);
    }
  });

  it.each([
    'parley_turns_total{outcome="done"} 1',
    'parley_turns_total{outcome="interrupted"} 1',
    'parley_turn_duration_seconds_count{outcome="done"} 1',
    "parley_time_to_first_text_seconds_count 2",
    "parley_time_to_first_audio_seconds_count 2",
    'parley_tier_failures_total{tier="failing",kind="server"} 2',
    'parley_tier_calls_total{tier="failing",result="failure"} 2',
    'parley_failovers_total{from="failing",to="scripted",midway="false"} 2',
    'parley_breaker_state{tier="failing",kind="text",state="CLOSED"} 1',
    'parley_breaker_state{tier="failing",kind="text",state="OPEN"} 0',
    "parley_active_turns 0",
    "parley_ready 1",
    'parley_interrupts_total{reason="interrupted",sent="false"} 1',
    'parley_time_to_silence_seconds_count{reason="interrupted"} 1',
    'parley_tier_audio_seconds_total{tier="spelling",kind="speech"} MADE',
    'parley_queue_depth{queue="storage"} 0',
    'parley_queue_depth{queue="memory"} 0',
    'parley_queue_depth{queue="screenshots"} 0',
    'parley_reported_tokens_total{source="browser_agent",model="m",direction="input"} 3',
    'parley_reported_tokens_total{source="browser_agent",model="m",direction="output"} 4',
  ])("tells %s", (line) => {
    const made = value('parley_tier_audio_seconds_total{tier="spelling",kind="speech"}');
    expect(text.split("\n")).toContain(line.replace("MADE", String(made)));
  });

  it("counts characters and seconds of sound by tier", () => {
    const spoken = gateway.spoken.join("").length;
    expect(value('parley_tier_characters_total{tier="spelling",kind="speech"}')).toBe(spoken);
    expect(value('parley_tier_characters_total{tier="scripted",kind="text"}')).toBeGreaterThan(0);
    // The voice takes 10 ms for each letter.
    const made = value('parley_tier_audio_seconds_total{tier="spelling",kind="speech"}');
    expect(made).toBeCloseTo(spoken / 100, 6);
  });

  it("weighs the sound that was made against what was heard", () => {
    const made = value('parley_tier_audio_seconds_total{tier="spelling",kind="speech"}');
    const unheard = value("parley_audio_unheard_seconds_total");
    // The turn that was interrupted had just begun to sound; the other was sent in full.
    expect(unheard).toBeGreaterThan(0);
    expect(unheard).toBeLessThan(made);
  });

  it("counts the gaps between chunks in a histogram that adds up", () => {
    const buckets = [...text.matchAll(/^parley_chunk_gap_seconds_bucket\{le="(.+)"\} (\d+)$/gm)];
    const counts = buckets.map(([, , count]) => Number(count));
    expect(buckets.at(-1)?.[1]).toBe("+Inf");
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBe(value("parley_chunk_gap_seconds_count"));
    expect(counts.at(-1)).toBeGreaterThan(0);
    expect(value("parley_chunk_gap_seconds_sum")).toBeGreaterThan(0);
  });

  it("counts reported tokens once, however often it is asked", async () => {
    expect(await scrape()).toContain('model="m",direction="input"} 3');
  });

  it("measures the event loop and the process", () => {
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e7);
    expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(value("nodejs_eventloop_lag_max_seconds")).toBeGreaterThanOrEqual(
      value("nodejs_eventloop_lag_p50_seconds"),
    );
    expect(Math.abs(value("process_start_time_seconds") - Date.now() / 1000)).toBeLessThan(3600);
  });

  it("names no device and nothing that was said", () => {
    expect(text).not.toMatch(/secret-device|Hello/);
  });
});

describe("deploy/", () => {
  /** The metrics that there are, and the series of each histogram. */
  const known = () => {
    const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
    return types.flatMap(([, name = "", type]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => name + end) : [name],
    );
  };
  const namesIn = (file: string) => [
    ...new Set(readFileSync(`${root}${file}`, "utf8").match(/\b(parley|nodejs|process)_\w+/g)),
  ];
  const dashboards = globSync("deploy/grafana/*.json", { cwd: root });
  const alerts = globSync("deploy/prometheus/*.yml", { cwd: root });

  it("has a dashboard and alert rules", () => {
    expect([dashboards.length, alerts.length]).toEqual([1, 2]);
  });

  it.each([...dashboards, ...alerts])("asks in %s for metrics that there are", (file) => {
    const names = namesIn(file);
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => !known().includes(name))).toEqual([]);
  });

  it("shows every metric of the gateway's own in the dashboard", () => {
    const shown = dashboards.flatMap(namesIn);
    const own = [...text.matchAll(/^# TYPE (parley_\w+) /gm)].map(([, name = ""]) => name);
    expect(own.length).toBeGreaterThan(8);
    expect(own.filter((name) => !shown.some((each) => each.startsWith(name)))).toEqual([]);
  });

  it("has a dashboard that Grafana can read", () => {
    for (const file of dashboards) {
      const { title, uid, panels } = JSON.parse(readFileSync(`${root}${file}`, "utf8"));
      expect({ title, uid }).toEqual({ title: "Parley", uid: "parley" });
      const ids = panels.map(({ id }: { id: number }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { targets } of panels) expect(targets.length).toBeGreaterThan(0);
    }
  });
});
