import { spawn, spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { type ChildGateway, startChildGateway } from "../support/child-gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasProgram } from "../support/program.ts";

const TURNS = 8;
/** What the whole test may take: on a quarter of a core, several times what it takes on a whole one. */
const TEST_MS = 180_000;
/** About 10 s of sound each. */
const textOf = (turn: number) =>
  `Passenger ${turn} waited at the old harbour. There were many people and two letters. Nobody saw the last train leave the station. It was late, and the market had closed.`;

/** What a client heard of a turn. */
type Heard = {
  readonly status: number;
  /** The whole response. */
  readonly body: string;
  readonly text: string;
  readonly seconds: number;
  readonly voices: ReadonlySet<string>;
  readonly last: string;
};

async function speak({ httpPort }: ChildGateway, turn: number): Promise<Heard> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/v1/speak`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: `say: ${textOf(turn)}`,
      hardware_id: `device-${turn}`,
      format: "sse",
    }),
  });
  const body = await response.text();
  const events = body.trim().split("\n\n");
  const voices = new Set<string>();
  let [text, seconds, last] = ["", 0, ""];
  for (const event of events) {
    const [, name = "", json = "{}"] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
    const data = name === "" ? {} : JSON.parse(json);
    last = name;
    text += data.text ?? "";
    seconds += (data.samples ?? 0) / 48_000;
    if (data.samples && data.source) voices.add(data.source.tier);
  }
  return { status: response.status, body, text, seconds, voices, last };
}

/** Moves a process and its children to one core. */
function pin(pid: number): void {
  const children = globSync("/proc/[0-9]*/stat").filter((file) => {
    const [, , ppid] = readFileSync(file, "utf8").replace(/^.*\)/s, "").split(" ");
    return ppid === String(pid);
  });
  const pids = [String(pid), ...children.map((file) => file.split("/")[2] ?? "")];
  for (const each of pids) spawnSync("taskset", ["-acp", "0", each], { stdio: "ignore" });
}

describe("the local voice on a slow machine", () => {
  itUnless(!hasProgram("taskset", ["--version"], "install util-linux"))(
    "speaks each of eight turns at once whole, or refuses it before it begins, and nothing hums",
    async () => {
      const env = { SPEECH_TIERS: "local,tone", MAX_PROCESSING_TIME: "60" };
      await using gateway = await startChildGateway(env);
      expect((await speak(gateway, 0)).last).toBe("end");
      pin(gateway.process.pid ?? 0);
      // Takes half of that core.
      const rival = spawn("taskset", ["-c", "0", process.execPath, "-e", "for (;;);"]);
      try {
        const turns = Array.from({ length: TURNS }, (_, at) => at + 1);
        const heard = await Promise.all(turns.map((turn) => speak(gateway, turn)));
        const whole = heard.filter(({ status }) => status === 200);
        for (const [at, turn] of heard.entries()) {
          if (turn.status !== 200) {
            expect(turn).toMatchObject({
              status: 429,
              body: expect.stringMatching(/retry in \d+ s/),
            });
            continue;
          }
          expect(turn.text).toBe(textOf(at + 1));
          expect([...turn.voices]).toEqual(["local"]);
          expect(turn.seconds).toBeGreaterThan(7);
          expect(turn.last).toBe("end");
        }
        expect(whole.length).toBeGreaterThan(0);
      } finally {
        rival.kill("SIGKILL");
      }
    },
    TEST_MS,
  );
});
