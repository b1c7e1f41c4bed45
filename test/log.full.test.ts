import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type ChildGateway, startChildGateway } from "./support/child-gateway.ts";
import { itUnless } from "./support/it-unless.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

type Line = Readonly<Record<string, unknown>>;

const linesOf = (gateway: ChildGateway): readonly Line[] =>
  gateway
    .log()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

const clientOf = ({ grpcPort }: ChildGateway) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }));

const said = "Nobody else may read this";
const device = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
const turnId = "0f0e0d0c-0b0a-4908-8706-050403020100";
/** Some 50 s of sound. */
const long = `say: ${`${said}, and more of it follows. `.repeat(30)}`;

describe("the log", () => {
  let gateway: ChildGateway;
  let lines: readonly Line[];
  const ofTurn = (id: string) => lines.filter((line) => line["turnId"] === id);

  beforeAll(async () => {
    gateway = await startChildGateway({
      LOG_LEVEL: "warn,conversation=debug,providers=info",
      // Nothing listens there, so that the second tier answers.
      TEXT_TIERS: "langchain,offline",
      LANGCHAIN_MODEL: "openai:small",
      OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    });
    const client = clientOf(gateway);
    const headers = { "x-request-id": "request-7" };
    const whole = {
      prompt: `say: ${said}. Bye now.`,
      hardwareId: device,
      sessionId: "s-1",
      turnId,
    };
    await Array.fromAsync(client.streamAudio(whole, { headers }));
    const cut = client.streamAudio({ prompt: long, hardwareId: device, sessionId: "s-2" });
    const reading = cut[Symbol.asyncIterator]();
    await reading.next();
    await client.interruptSession({ hardwareId: device });
    await expect(
      (async () => {
        while (!(await reading.next()).done);
      })(),
    ).rejects.toThrow("interrupted");
    await client.interruptSession({ hardwareId: device });
    await vi.waitFor(() => expect(gateway.log().match(/"interrupt"/g)).toHaveLength(2), 10_000);
    lines = linesOf(gateway);
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  it("tells each stage of a turn at debug, in order", () => {
    expect(
      ofTurn(turnId)
        .filter(({ level }) => level === 20)
        .map(({ msg }) => msg),
    ).toEqual([
      "turn: request",
      "turn: first text",
      "turn: first sound",
      "turn: sentence",
      "turn: sentence",
      "turn: end",
    ]);
    expect(ofTurn(turnId)).toContainEqual(
      expect.objectContaining({ msg: "turn: end", outcome: "done", room: "conversation" }),
    );
  });

  it("has the ids of request, session and turn in every line of a turn", () => {
    const own = ofTurn(turnId);
    expect(own.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(["provider failed", "failover", "turn"]),
    );
    for (const line of own) {
      expect(line).toMatchObject({ requestId: "request-7", sessionId: "s-1", turnId });
    }
    const other = lines.find(({ sessionId }) => sessionId === "s-2");
    expect(other?.["requestId"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("tells an interrupt at warn: the turn, the caller, how many, and the time to silence", () => {
    const [found, nothing] = lines.filter(({ msg }) => msg === "interrupt");
    expect(found).toMatchObject({
      level: 40,
      sessionId: "s-2",
      turnId: expect.any(String),
      caller: expect.stringMatching(/^device [0-9a-f]{12}$/),
      turns: 1,
      // The turn before it was sent in full, and still plays.
      sentTurns: 1,
    });
    expect(found?.["timeToSilenceMs"]).toBeLessThan(1000);
    expect(nothing).toMatchObject({ level: 40, turns: 0 });
  });

  it("never holds what was said, nor a device's id", () => {
    expect(gateway.log()).not.toMatch(new RegExp(`${said.slice(0, 12)}|Bye now|${device}`));
  });

  it("has the level of each room", async () => {
    await using quiet = await startChildGateway({
      LOG_LEVEL: "error,providers=warn",
      LOG_INTERRUPTS: "false",
      TEXT_TIERS: "langchain,offline",
      LANGCHAIN_MODEL: "openai:small",
      OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    });
    await Array.fromAsync(clientOf(quiet).streamAudio({ prompt: "Hello.", hardwareId: device }));
    await clientOf(quiet).interruptSession({ hardwareId: device });
    const seen = linesOf(quiet).map(({ room, msg }) => `${room}: ${msg}`);
    expect(seen).toEqual(["providers: provider failed", "providers: failover"]);
  });

  describe("as deploy/collector reads it", () => {
    const config = parse(readFileSync(`${root}deploy/collector/parley.yaml`, "utf8"));

    it("gives each line its time, severity, message and ids", () => {
      const records = gateway
        .log()
        .trim()
        .split("\n")
        .map((line) => collect(config, line));
      expect(records.length).toBe(lines.length);
      for (const [at, { body, severity, time, attributes }] of records.entries()) {
        expect(body).toBe(lines[at]?.["msg"]);
        expect(["debug", "info", "warn"]).toContain(severity);
        expect(Math.abs(Date.now() - time)).toBeLessThan(600_000);
        expect(attributes).not.toHaveProperty("msg");
      }
      const failed = records.find(({ body }) => body === "provider failed");
      expect(failed).toMatchObject({
        severity: "warn",
        attributes: {
          room: "providers",
          tier: "langchain",
          "error.type": "connectivity",
          "gen_ai.conversation.id": "s-1",
          "parley.turn.id": turnId,
          "parley.request.id": "request-7",
        },
      });
    });

    it("leaves a line as it is that is no JSON", () => {
      expect(collect(config, "Segmentation fault")).toMatchObject({ body: "Segmentation fault" });
    });

    it("sends all three signals on, each through what is defined", () => {
      const parts = ["receivers", "processors", "exporters"] as const;
      expect(Object.keys(config.service.pipelines)).toEqual(["logs", "traces", "metrics"]);
      const named = Object.values<Record<string, string[]>>(config.service.pipelines).flatMap(
        (pipeline) => parts.flatMap((part) => pipeline[part]?.map((name) => [part, name]) ?? []),
      );
      expect(named).toHaveLength(10);
      for (const [part = "", name = ""] of named) expect(config[part]).toHaveProperty([name]);
    });
  });

  itUnless(process.platform !== "linux")("is for a reader on a terminal", async () => {
    // util-linux' script gives a program a terminal.
    const program = `${process.execPath} ${root}server/main.ts`;
    const child = spawn("script", ["-qefc", program, "/dev/null"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        TERM: "xterm",
        HTTP_PORT: "0",
        GRPC_PORT: "0",
        TEXT_TIERS: "offline",
        SPEECH_TIERS: "tone",
        STORAGE_ENABLED: "false",
        LOG_TIMING: "true",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let shown = "";
    for await (const piece of child.stdout.setEncoding("utf8")) {
      shown += piece;
      if (shown.includes("curl")) break;
    }
    child.kill("SIGTERM");
    const line = shown.split("\n").find((each) => each.includes("no effect"));
    expect(line).toMatch(/^\S*\[\d\d:\d\d:\d\d\.\d{3}\].*WARN.*These settings have no effect/);
  });
});

type Collected = {
  body: unknown;
  severity?: string;
  time: number;
  attributes: Record<string, unknown>;
};

type Operator = {
  readonly type: string;
  readonly if?: string;
  readonly parse_from?: string;
  readonly from?: string;
  readonly to?: string;
  readonly field?: string;
  readonly mapping?: Readonly<Record<string, string>>;
  readonly layout?: string;
};

/** Does with a line what the collector's operators do, and knows no others than these. */
function collect(
  config: { receivers: { filelog: { operators: readonly Operator[] } } },
  line: string,
): Collected {
  const record: Collected = { body: line, time: 0, attributes: {} };
  for (const operator of config.receivers.filelog.operators) {
    if (!applies(operator.if, record)) continue;
    const act = operators[operator.type];
    if (!act) throw new Error(`unknown: ${operator.type}`);
    act(record, operator);
  }
  return record;
}

const operators: Readonly<Record<string, (record: Collected, operator: Operator) => void>> = {
  json_parser(record) {
    record.attributes = JSON.parse(String(record.body));
  },
  severity_parser(record, { parse_from, mapping = {} }) {
    const level = String(record.attributes[nameOf(parse_from)]);
    record.severity =
      Object.entries(mapping).find(([, value]) => value === level)?.[0] ?? "unmapped";
  },
  time_parser(record, { parse_from, layout }) {
    expect(layout).toBe("ms");
    record.time = Number(record.attributes[nameOf(parse_from)]);
  },
  trace_parser: () => undefined,
  move(record, { from, to }) {
    const name = nameOf(from);
    if (to === "body") record.body = record.attributes[name];
    else record.attributes[nameOf(to)] = record.attributes[name];
    delete record.attributes[name];
  },
  remove(record, { field }) {
    delete record.attributes[nameOf(field)];
  },
};

function applies(condition: string | undefined, { body, attributes }: Collected): boolean {
  if (condition === undefined) return true;
  if (condition === 'body matches "^{"') return String(body).startsWith("{");
  const [, name = ""] = /^attributes\.(\w+) != nil$/.exec(condition) ?? [];
  expect(name).not.toBe("");
  return attributes[name] !== undefined;
}

/** The attribute that a field names. */
function nameOf(field = ""): string {
  const [, plain, quoted] = /^attributes(?:\.(\w+)|\["([^"]+)"\])$/.exec(field) ?? [];
  const name = plain ?? quoted;
  if (name === undefined) throw new Error(`not an attribute: ${field}`);
  return name;
}
