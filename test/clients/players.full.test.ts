import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { hasProgram, runProgram } from "../support/program.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";

/** 4,320 samples: 0.09 s. */
const SHORT = "One. Two.";
let gateway: Gateway;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-players-"));
  gateway = await startGateway({
    languageModels: [createScriptedLanguageModel(({ text }) => [text])],
    synthesizers: [
      createSpellingVoice({ gate: (text) => (text === "Late." ? late() : undefined) }),
    ],
  });
});
afterEach(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true });
});

/** Longer than a reply is waited for. */
const late = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A reply as curl saves it, and what the sound of it lasts. */
async function save(text: string): Promise<{ path: string; seconds: number }> {
  const query = new URLSearchParams({ prompt: text, hardware_id: "d" });
  const response = await fetch(`${gateway.httpUrl}/v1/speak?${query}`);
  const path = join(folder, "reply.wav");
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  return { path, seconds: (text.length * 480) / 48_000 };
}

const shell = async (command: string, path: string) => {
  const { code, stdout, stderr } = await runProgram("sh", ["-c", command, "sh", path]);
  return { code, text: `${stdout}${stderr}` };
};

/** The longest silence behind a reply of open length, in seconds. */
const PADDING = 4096 / 48_000;

describe.runIf(hasProgram("sox", ["--version"], "install sox"))("sox", () => {
  it.each(["sox $0", "cat $0 | sox -t wav -"].map((each) => each.replace("$0", '"$1"')))(
    "reads a whole and an open file by %s without a word",
    async (command) => {
      for (const text of [SHORT, "One. Late."]) {
        const { path, seconds } = await save(text);
        const { code, text: said } = await shell(`${command} -n stat`, path);
        expect(code).toBe(0);
        expect(said).not.toMatch(/warn|fail/i);
        const length = Number(/Length \(seconds\):\s+([\d.]+)/.exec(said)?.[1]);
        expect(length - seconds).toBeGreaterThan(-0.001);
        expect(length - seconds).toBeLessThan(text === SHORT ? 0.001 : PADDING);
      }
    },
  );

  it("tells the true length of a short reply's file", async () => {
    const { path, seconds } = await save(SHORT);
    const { text } = await shell('soxi -D "$1"', path);
    expect(Number(text)).toBeCloseTo(seconds, 3);
  });
});

describe.runIf(hasProgram("ffmpeg", ["-version"], "install ffmpeg"))("ffmpeg", () => {
  const quietly = "ffmpeg -hide_banner -loglevel warning";
  const known = /Guessed Channel Layout.*\n/g;

  it("reads a whole and an open reply from a pipe without a word", async () => {
    for (const text of [SHORT, "One. Late."]) {
      const { path } = await save(text);
      const { code, text: said } = await shell(`cat "$1" | ${quietly} -i - -f null -`, path);
      expect({ code, said: said.replaceAll(known, "") }).toEqual({ code: 0, said: "" });
    }
  });

  it("reads a whole file without a word, and of an open one only estimates the length", async () => {
    const whole = await save(SHORT);
    const first = await shell(`${quietly} -i "$1" -f null -`, whole.path);
    expect({ ...first, text: first.text.replaceAll(known, "") }).toEqual({ code: 0, text: "" });
    const open = await save("One. Late.");
    const second = await shell(`${quietly} -i "$1" -f null -`, open.path);
    const lines = second.text.replaceAll(known, "").trim().split("\n");
    expect(lines).toEqual([expect.stringContaining("Estimating duration from bitrate")]);
  });
});
