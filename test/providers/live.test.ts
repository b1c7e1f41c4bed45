import { describe, it } from "vitest";
import { openLanguageModels, openSynthesizers } from "../../server/adapters.ts";
import { readConfig } from "../../server/config/config.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { languageModelSuite } from "../contracts/language-model-suite.ts";
import { synthesizerSuite } from "../contracts/synthesizer-suite.ts";

// The contract suites against the real services, by the gateway's own settings. Every call may be
// billed, so this is asked for by name (`vitest run --mode live`), and tests the services whose keys
// are in the environment. What cannot be scripted there is left to the emulators.

const here = new Set(["offline", "kokoro", "local", "command", "tone"]);
const config = readConfig({ ...process.env, GEMINI_LIVE_WARM_CONNECTIONS: "0" });
const { gemini, langchain } = config.providers;
const secrets = [process.env["GEMINI_API_KEY"], process.env["OPENAI_API_KEY"]]
  .concat(process.env["AZURE_SPEECH_KEY"])
  .filter((key) => key !== undefined && key !== "") as string[];

const opened = openLanguageModels(config, { onError: () => undefined }).filter(
  ({ name }) => !here.has(name),
);
const voices = openSynthesizers(config).filter(({ name }) => !here.has(name));

function testGenerator(languageModel: LanguageModel, name = languageModel.name): void {
  const open = async () => ({
    languageModel,
    play: () => undefined,
    active: () => 0,
    stop: async () => undefined,
  });
  languageModelSuite(name, open, { live: true, secrets });
}

function testVoice(synthesizer: Synthesizer): void {
  const open = async () => ({ synthesizer, active: () => 0, stop: async () => undefined });
  synthesizerSuite(synthesizer.name, open, { live: true, secrets });
}

for (const languageModel of opened) testGenerator(languageModel);
if (gemini && !langchain?.model.startsWith("google:")) {
  const LANGCHAIN_MODEL = `google:${gemini.model}`;
  const google = readConfig({ ...process.env, LANGCHAIN_MODEL, TEXT_TIERS: "langchain" });
  for (const languageModel of openLanguageModels(google, { onError: () => undefined })) {
    testGenerator(languageModel, `langchain on ${LANGCHAIN_MODEL}`);
  }
}
for (const voice of voices) testVoice(voice);

if (opened.length + voices.length === 0) {
  const message =
    "No service is tested: the environment has none of GEMINI_API_KEY, LANGCHAIN_MODEL (with " +
    "OPENAI_API_KEY or OPENAI_BASE_URL), AZURE_SPEECH_KEY with AZURE_SPEECH_REGION, " +
    "EDGE_TTS_ENABLED=true.";
  process.stderr.write(`\n${message}\n\n`);
  describe.skip("the live suites", () => {
    it(message, () => undefined);
  });
}
