import { describe, expect, it } from "vitest";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";

/** Long enough to stand in no id, time or size by chance. */
const number = "471108155";

/** What a gateway with this voice tells a client, `/status` and its log. */
const base = { GRPC_PORT: "0", HTTP_PORT: "0", STORAGE_ENABLED: "false", SHUTDOWN_GRACE: "0" };

async function askGateway(env: Readonly<Record<string, string>>, voices?: readonly Synthesizer[]) {
  const lines: string[] = [];
  const log = (fields: unknown, message: string) => {
    lines.push(JSON.stringify({ fields, message }));
  };
  const app = createApp(readConfig({ ...base, ...env }), {
    languageModels: [createScriptedLanguageModel(({ text }) => [text])],
    ...(voices && { synthesizers: voices }),
    logger: { debug: log, info: log, warn: log, error: log },
  });
  const { http } = await app.start();
  try {
    const at = `http://${http.host}:${http.port}`;
    const headers = { "content-type": "application/json" };
    const prompt = `Meet Rumpelstiltskin at ${number}.`;
    const body = JSON.stringify({ prompt, hardware_id: "d", format: "sse" });
    const answer = await fetch(`${at}/v1/speak`, { method: "POST", headers, body });
    const told = await answer.text();
    const status = await (await fetch(`${at}/status`)).text();
    return { told, status, log: lines.join("\n") };
  } finally {
    await app.stop();
  }
}

describe("a provider that fails", () => {
  it("tells nobody a program's error output: it may hold what was to be said", async () => {
    const spelled = `$0; 4 7 1 1; pin${number}; ${number.slice(1)}; four seven one one`;
    const code = `echo "no voice in /secret/folder for ${spelled}" >&2; exit 3`;
    const { told, status, log } = await askGateway({
      SPEECH_TIERS: "command",
      SPEECH_COMMAND: JSON.stringify(["/bin/sh", "-c", code, "{text}"]),
    });
    expect(told).toContain("the program exited with code 3");
    expect(status).toContain("the program exited with code 3");
    // The reply's text is in the first event, and that alone is not the error's.
    const failure = told.slice(told.indexOf("event: failure"));
    for (const each of [failure, status, log]) {
      expect(each).not.toMatch(/\/secret|no voice|Rumpelstiltskin|71108155|7 1|seven/);
    }
    expect(log).toMatch(/\d+ bytes on stderr, not logged/);
  });

  it("tells no path of a program that is not there, nor of one that cannot be loaded", async () => {
    const missing = await askGateway({
      SPEECH_TIERS: "command",
      SPEECH_COMMAND: JSON.stringify(["/secret/folder/say", "{text}"]),
    });
    const broken: Synthesizer = {
      name: "broken",
      start: async () => {
        throw new Error("Cannot find package 'x' imported from /secret/folder/x.ts");
      },
      synthesize: () => {
        throw new Error("ENOENT: no such file or directory, open '/secret/folder/x'");
      },
    };
    const unloaded = await askGateway({}, [broken]);
    for (const { told, status, log } of [missing, unloaded]) {
      expect(told + status).not.toContain("/secret");
      expect(log).toContain("/secret/folder");
    }
    expect(missing.told).toContain("the program cannot be started (ENOENT)");
  });
});
