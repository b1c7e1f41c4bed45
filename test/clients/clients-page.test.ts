import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bytesOf } from "../../server/core/audio/pcm.ts";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { createOfflineModel } from "../../server/providers/offline.ts";
import { readSpelled24 } from "../doors/spelled.ts";
import { hasCurl } from "../support/client-curl.ts";
import { startGateway } from "../support/gateway.ts";
import { runProgram } from "../support/program.ts";
import { readExamples } from "../support/readme.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What each example prints, and what its file of sound says. */
const expected: Readonly<Record<string, { readonly text: string; readonly sound?: string }>> = {
  openai: { text: "Hello from the chat.", sound: "Hello from OpenAI's client." },
  "ai-sdk": { text: "Hello from the chat.", sound: "Hello from the AI SDK." },
  langchain: { text: "Hello from the chat." },
  "agents-realtime": { text: "Hello from a session.", sound: "Hello from a session." },
  deepgram: { text: "", sound: "Hello from Deepgram's client." },
  "curl-openai": { text: "", sound: "Hello from curl." },
};

describe("docs/clients.md", () => {
  const examples = readExamples("docs/clients.md");
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "clients-test-"));
    for (const part of ["node_modules", "package.json"]) {
      symlinkSync(join(ROOT, part), join(folder, part));
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("shows the examples that are checked here, and no others", () => {
    expect(examples.map(({ name }) => name)).toEqual(Object.keys(expected));
  });

  it.for(examples)("shows $name as it works", async ({ name, language, code }, { skip }) => {
    if (language === "sh" && !hasCurl()) skip("curl is not installed");
    await using gateway = await startGateway({ languageModels: [createOfflineModel()] });
    const file = join(folder, `example.${language}`);
    writeFileSync(file, code.replaceAll("8080", String(gateway.httpPort)));
    const [program, ...args] = language === "sh" ? ["bash", "-eu", file] : [process.execPath, file];
    const path = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
    const run = await runProgram(program, args, {
      cwd: folder,
      env: { ...process.env, PATH: path, NODE_NO_WARNINGS: "1" },
    });
    expect({ code: run.code, stderr: run.stderr }).toMatchObject({ code: 0 });
    expect(`${run.stdout}`).toBe(expected[name]?.text);
    expect(readSound(folder)).toBe(expected[name]?.sound);
  });
});

function readSound(folder: string): string | undefined {
  const [wav, pcm] = ["hello.wav", "hello.pcm"].map((name) => join(folder, name));
  if (pcm && existsSync(pcm)) return readSpelled24(readFileSync(pcm));
  if (!wav || !existsSync(wav)) return undefined;
  return readSpelled24(bytesOf(createWavReader().push(readFileSync(wav))));
}
