import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { createOfflineModel } from "../../server/providers/offline.ts";
import { hasCurl } from "../support/client-curl.ts";
import { hasPython, PYTHON } from "../support/client-python.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { runInPage } from "../support/page-script.ts";
import { runProgram } from "../support/program.ts";
import { readExamples } from "../support/readme.ts";
import { readSpelling } from "../support/spelling-voice.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What the examples need of the project, beside the gateway. */
const PARTS = ["examples", "gen", "node_modules", "package.json", "proto", "server"];

/** What an example must have done. */
type Check = (run: { readonly code: string; readonly gateway: Gateway }) => Promise<void>;

describe("README.md", () => {
  let folder = "";

  // A folder of its own, so that what the examples write does not stay in the project.
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "readme-test-"));
    for (const part of PARTS) symlinkSync(join(ROOT, part), join(folder, part));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const checks: Record<string, Check> = {
    say: async ({ code }) => {
      expect(`${await shell(code)}`).toContain("Hello from a terminal.\n");
      expect(readWav("hello.wav")).toBe("Hello from a terminal.");
    },
    "curl-speak": async ({ code }) => {
      await shell(code);
      expect(readWav("hello.wav")).toBe("Hello from curl.");
    },
    "curl-interrupt": async ({ code }) => {
      expect(JSON.parse(`${await shell(code)}`)).toMatchObject({ success: true });
    },
    "buf-curl": async ({ code }) => {
      const stdout = `${await shell(code)}`;
      expect(stdout).toContain('"textChunk": "Hello over gRPC."');
      expect(stdout).toContain('"audioData": ');
      expect(stdout).toContain('"endMessage": "done"');
    },
    python: async ({ code }) => {
      expect(`${await shell(code)}`).toBe("Hello from Python.\n");
      expect(readWav("hello.wav")).toBe("Hello from Python.");
    },
    browser: async ({ code, gateway }) => {
      const file = join(folder, "page.ts");
      writeFileSync(file, code);
      const { logged, played } = await runInPage(file, gateway.httpUrl);
      expect(logged).toEqual(["Hello from a page."]);
      expect(readSpelling([played])).toBe("Hello from a page.");
    },
  };

  it("shows the examples that are checked here, and no others", () => {
    const names = readExamples().map(({ name }) => name);
    expect(names.toSorted()).toEqual(Object.keys(checks).toSorted());
  });

  it.for(readExamples())("shows $name as it works", async ({ name, code }, context) => {
    skipWithoutProgram(code, context);
    await using gateway = await startGateway({ languageModels: [createOfflineModel()] });
    await checks[name]?.({ code: withPorts(code, gateway), gateway });
    await gateway.untilIdle();
    expect(Object.keys(gateway.status().turns)).toEqual(name === "curl-interrupt" ? [] : ["done"]);
  });

  async function shell(code: string): Promise<Buffer> {
    const {
      code: exit,
      stdout,
      stderr,
    } = await runProgram("bash", ["-euc", code], {
      cwd: folder,
      env: { ...process.env, PATH: path() },
    });
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    return stdout;
  }

  function readWav(name: string): string {
    return readSpelling([createWavReader().push(readFileSync(join(folder, name)))]);
  }
});

function withPorts(code: string, { grpcPort, httpPort }: Gateway): string {
  return code.replaceAll("50051", String(grpcPort)).replaceAll("8080", String(httpPort));
}

function skipWithoutProgram(code: string, { skip }: TestContext): void {
  if (code.startsWith("curl") && !hasCurl()) skip("curl is not installed");
  if (code.startsWith("python3") && !hasPython()) skip("grpcio is not installed");
}

/** This Node first, and then the Python that grpcio is installed for. */
function path(): string {
  const folders = [dirname(process.execPath), dirname(PYTHON), process.env["PATH"]];
  return folders.join(delimiter);
}
