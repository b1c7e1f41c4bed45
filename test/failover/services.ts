import { startAzureEmulator } from "../../emulators/azure.ts";
import { startEdgeEmulator } from "../../emulators/edge.ts";
import { startGeminiEmulator } from "../../emulators/gemini.ts";
import { startGeminiLiveEmulator } from "../../emulators/gemini-live.ts";
import { startOpenaiEmulator } from "../../emulators/openai.ts";
import { createAzureVoice } from "../../server/providers/azure/azure.ts";
import { createEdgeVoice } from "../../server/providers/edge/edge.ts";
import { createGeminiModel } from "../../server/providers/gemini/gemini.ts";
import { createGeminiLiveModel } from "../../server/providers/gemini-live/gemini-live.ts";
import { createLangchainModel } from "../../server/providers/langchain/langchain.ts";

/** Every emulated service. */
export type Services = Awaited<ReturnType<typeof startServices>>;

/** Starts them all. */
export async function startServices() {
  const gemini = await startGeminiEmulator();
  const live = await startGeminiLiveEmulator();
  const openai = await startOpenaiEmulator();
  const azure = await startAzureEmulator();
  const edge = await startEdgeEmulator();
  const all = [gemini, live, openai, azure, edge];
  const stop = () => Promise.all(all.map((each) => each.stop()));
  return { gemini, live, openai, azure, edge, stop };
}

/** The real providers, each against its emulated service, all with the same key. */
export function openProviders({ gemini, live, openai, azure, edge }: Services, apiKey: string) {
  const langchain = { model: "openai:m", openaiApiKey: apiKey, openaiBaseUrl: `${openai.url}/v1` };
  return {
    gemini: () => createGeminiModel({ apiKey, baseUrl: gemini.url, model: "m" }),
    live: () =>
      createGeminiLiveModel({ apiKey, baseUrl: live.url, model: "m", warmConnections: 1 }),
    langchain: () => createLangchainModel(langchain),
    azure: () => createAzureVoice({ apiKey, host: azure.url }),
    edge: () => createEdgeVoice({ endpoint: edge.url }),
  };
}
