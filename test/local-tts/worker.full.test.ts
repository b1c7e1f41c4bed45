import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "worker-process-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program that has a voice and its sound: what a gateway does with it. */
function run(name: string, code: string): ChildProcess {
  const program = join(folder, `${name}.mjs`);
  writeFileSync(
    program,
    `import { createLocalWorkers, createLocalVoice } from ${JSON.stringify(new URL("../../server/local-tts/dittli/dittli.ts", import.meta.url).href)};
     const workerPool = createLocalWorkers(${JSON.stringify(folder)});
     const voice = createLocalVoice({ transliterate: false, workerPool });
     const never = new AbortController().signal;
     const speak = (text) => Array.fromAsync(voice.synthesize(text, {}, never));
     ${code}`,
  );
  return spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
}

/** The processes whose parent this one is. Linux only. */
function childrenOf(pid: number | undefined): readonly number[] {
  const isChild = (other: string) => {
    try {
      return readFileSync(`/proc/${other}/stat`, "utf8").split(") ")[1]?.split(" ")[1] === `${pid}`;
    } catch {
      return false;
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isChild(name))
    .map(Number);
}

const isAlive = (pid: number) => readdirSync("/proc").includes(String(pid));

describe("a worker of the local voice", () => {
  it("lets its gateway end by itself once the voice is stopped", { timeout: 60_000 }, async () => {
    const gateway = run("whole", `await voice.start(); await speak("Yes."); await voice.stop();`);
    expect(await once(gateway, "exit")).toEqual([0, null]);
  });

  it("can be stopped while it loads", { timeout: 60_000 }, async () => {
    const gateway = run("early", "await voice.start(); await voice.stop();");
    expect(await once(gateway, "exit")).toEqual([0, null]);
  });

  it("does not make an abrupt exit a crash", { timeout: 60_000 }, async () => {
    const gateway = run(
      "abrupt",
      `await voice.start(); await speak("Yes.");
       speak("This is a sentence of a dozen words that takes a while."); setTimeout(() => process.exit(7), 30);`,
    );
    expect(await once(gateway, "exit")).toEqual([7, null]);
  });

  it.runIf(process.platform === "linux")(
    "ends when its gateway is killed",
    { timeout: 60_000 },
    async () => {
      const gateway = run(
        "killed",
        `await voice.start();
         const say = async () => { await speak("Yes."); console.log("spoken"); };
         process.on("SIGUSR2", say); await say(); setInterval(() => {}, 1e3);`,
      );
      const ended = once(gateway, "exit");
      if (gateway.stdout) await once(gateway.stdout, "data");
      const [worker = 0, ...others] = childrenOf(gateway.pid);
      expect(others).toEqual([]);
      expect(isAlive(worker)).toBe(true);
      // Ctrl-C in a terminal reaches the whole group: the last turns are still to be spoken.
      process.kill(worker, "SIGINT");
      process.kill(worker, "SIGTERM");
      gateway.kill("SIGUSR2");
      if (gateway.stdout) await once(gateway.stdout, "data");
      expect(isAlive(worker)).toBe(true);
      gateway.kill("SIGKILL");
      await ended;
      await expect.poll(() => isAlive(worker), { timeout: 10_000 }).toBe(false);
    },
  );
});
