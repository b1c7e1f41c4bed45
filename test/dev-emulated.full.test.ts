import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { itUnless } from "./support/it-unless.ts";
import { hasProgram } from "./support/program.ts";

const program = fileURLToPath(new URL("../emulators/dev/dev-emulated.ts", import.meta.url));
/** What the gateway waits for, on a machine with other work. */
const timeouts = { timeout: 30_000, interval: 20 };

describe("dev-emulated", () => {
  let child: ChildProcess;
  let url = "";
  let lines: string[] = [];

  /** Waits for a line that was written since the last command. */
  const untilLine = (pattern: RegExp) =>
    vi.waitFor(() => {
      const found = lines.find((line) => pattern.test(line));
      expect(found, lines.join("\n")).toBeDefined();
      return found ?? "";
    }, timeouts);
  const type = async (command: string, answer: RegExp) => {
    lines = [];
    child.stdin?.write(`${command}\n`);
    return await untilLine(answer);
  };

  beforeAll(async () => {
    const env = {
      ...process.env,
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      GEMINI_API_KEY: "never-used",
      // Festival loads its voice for each text. A busy machine takes longer than a tier's share of 30 s.
      MAX_PROCESSING_TIME: "60",
    };
    child = spawn(process.execPath, [program], { env, stdio: ["pipe", "pipe", "inherit"] });
    if (!child.stdout) throw new Error("it has no output");
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    const started = await untilLine(/listens on/);
    url = /http:\S+/.exec(started)?.[0] ?? "";
  });
  afterAll(() => child.kill("SIGKILL"));

  /** What a turn says, and how much sound it has. */
  async function speak(device: string, prompt = "Hello") {
    const response = await fetch(`${url}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt, hardware_id: device, format: "sse" }),
    });
    const events = (await response.text()).trim().split("\n\n").map(readEvent);
    const said = events.map(({ data }) => data.text ?? "").join("");
    const samples = events.reduce((sum, { data }) => sum + (data.samples ?? 0), 0);
    return { said, samples, last: events.at(-1)?.name };
  }

  it("says where it listens, its tiers and what can be typed", async () => {
    await untilLine(
      /^Text: gemini-live, gemini, langchain, offline\. Speech: (command, )?azure, edge, local/,
    );
    await untilLine(/TIER FAULT/);
    await untilLine(
      /^Tiers: gemini-live, gemini, langchain, offline, (command, )?azure, edge, local, tone\.$/,
    );
  });

  it("answers with the first tier's own words and voice", async () => {
    const { said, samples, last } = await speak("one");
    expect(said).toMatch(/^This is the emulated Gemini Live\. .*\. .*\. /);
    expect(samples).toBeGreaterThan(48_000);
    expect(last).toBe("end");
  });

  it("hands over to the next tiers when a fault is set, and shows it in its status", async () => {
    await type("gemini-live rate-limit", /^gemini-live: rate-limit/);
    await type("azure cut 3", /^azure: cut after 3 parts/);
    const { said, samples, last } = await speak("two");
    expect(said).toMatch(/^This is the emulated Gemini\. /);
    expect(samples).toBeGreaterThan(48_000);
    expect(last).toBe("end");
    expect(await type("status", /^text +gemini-live/)).toMatch(
      /OPEN .*\[set: rate-limit\].*last: gemini-live: too many requests/,
    );
    await untilLine(/^text +gemini +CLOSED +1 succeeded, 0 failed/);
    await untilLine(/^speech azure .*[1-9]\d* failed \[set: cut after 3 parts\]/);
    await untilLine(/^speech edge +CLOSED +[1-9]\d* succeeded, 0 failed/);
  });

  it("fails providers within the process too", async () => {
    for (const tier of ["gemini", "langchain", "offline"]) {
      await type(`${tier} refuse`, new RegExp(`^${tier}: refuse`));
    }
    const response = await fetch(`${url}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "Hello", hardware_id: "three" }),
    });
    expect(response.status).toBe(503);
    expect(await response.text()).toContain("offline: switched off");
    await type("gemini ok", /^gemini: ok/);
    expect((await speak("four")).said).toMatch(/^This is the emulated Gemini\. /);
  });

  itUnless(!hasProgram("text2wave", ["-h"], "install festival and festvox-ru"))(
    "has Russian spoken by Festival, which speaks it alone",
    async () => {
      for (const tier of ["gemini-live", "gemini", "langchain"]) {
        await type(`${tier} refuse`, new RegExp(`^${tier}: refuse`));
      }
      await type("offline ok", /^offline: ok/);
      const russian = "say: Поезд отправляется в девять часов утра.";
      const { said, samples, last } = await speak("six", russian);
      expect(said).toBe("Поезд отправляется в девять часов утра.");
      // 40 letters at 10 to 25 a second.
      expect(samples).toBeGreaterThan(1.6 * 48_000);
      expect(samples).toBeLessThan(4 * 48_000);
      expect(last).toBe("end");
      await type("status", /^speech command +CLOSED +1 succeeded, 0 failed/);
      await untilLine(/^speech tone +CLOSED +0 succeeded, 0 failed/);
      await type("gemini ok", /^gemini: ok/);
    },
  );

  it("says what is wrong with a line that it does not know", async () => {
    await type("gemni ok", /Unknown command "gemni"\. Type `help`/);
    await type("gemini explode", /Unknown fault "explode" for gemini: ok, refuse/);
    await type("slow azure", /"slow azure" needs milliseconds/);
    await type("slow azure 400", /^azure: cut after 3 parts; 400 ms before the first part/);
  });

  it("goes on when its input ends, and leaves no child when it is ended", async () => {
    const children = childrenOf(child.pid);
    // The local voice is one.
    if (existsSync("/proc/self/stat")) expect(children).not.toEqual([]);
    child.stdin?.end();
    expect((await speak("five")).last).toBe("end");
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    await expect(fetch(url)).rejects.toThrow();
  });
});

describe("dev-emulated's quit", () => {
  it("ends it with code 0 and leaves no child", async () => {
    const env = { ...process.env, HTTP_PORT: "0", GRPC_PORT: "0" };
    const child = spawn(process.execPath, [program], { env, stdio: ["pipe", "pipe", "inherit"] });
    try {
      const exit = once(child, "exit");
      for await (const line of createInterface({ input: child.stdout })) {
        if (/^For example/.test(line)) break;
      }
      const children = childrenOf(child.pid);
      child.stdin.write("QUIT\n");
      expect(await exit).toEqual([0, null]);
      expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("is not reached by a setting that cannot be used: that is told, with code 1", async () => {
    const env = { ...process.env, HTTP_PORT: "many" };
    const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [stderr, [code]] = await Promise.all([child.stderr.toArray(), once(child, "exit")]);
    expect(stderr.join("")).toMatch(/Invalid settings:\n.*[\s\S]*HTTP_PORT/);
    expect(code).toBe(1);
  });
});

type Event = { readonly name: string; readonly data: { text?: string; samples?: number } };

function readEvent(event: string): Event {
  const [, name = "", data = "{}"] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
  return { name, data: JSON.parse(data) };
}

/** Processes that it has started; none where there is no /proc to tell. */
function childrenOf(parent: number | undefined): readonly string[] {
  return globSync("/proc/[0-9]*/stat").flatMap((file) => {
    try {
      const [pid, , , ppid] = readFileSync(file, "utf8")
        .replace(/\(.*\)/s, "()")
        .split(" ");
      return pid !== undefined && ppid === String(parent) ? [pid] : [];
    } catch {
      return [];
    }
  });
}
