import { tokenHeaders } from "./token.ts";

/** A tier as `/status` tells of it. */
export type TierStatus = {
  readonly name: string;
  readonly kind: "text" | "speech";
  readonly breaker: string;
  readonly languages?: readonly string[];
  readonly voices?: readonly string[];
};

/** What the page knows of its gateway. */
export type GatewayFacts = {
  readonly tiers: readonly TierStatus[];
  /** False where no language model is set up: then the user's own words are spoken. */
  readonly hasModel: boolean;
  /** Audio formats beside PCM that the gateway makes. */
  readonly audioFormats: readonly string[];
  /** Whether it tells real voices from synthetic ones. */
  readonly analyses: boolean;
};

/** What is assumed until the gateway has told. */
export const unknownGateway: GatewayFacts = {
  tiers: [],
  hasModel: true,
  audioFormats: [],
  analyses: false,
};

/** Asks the gateway. Never throws: without an answer nothing is known. */
export async function askGateway(): Promise<GatewayFacts> {
  try {
    const response = await fetch("/status", {
      headers: { accept: "application/json", ...tokenHeaders() },
    });
    return readFacts(await response.json());
  } catch {
    return unknownGateway;
  }
}

/** Reads `/status`. */
export function readFacts(status: unknown): GatewayFacts {
  const { providers, audioFormats, analysis } = status as {
    providers?: readonly TierStatus[];
    audioFormats?: readonly string[];
    analysis?: { readonly state: string; readonly uploads: string };
  };
  if (!Array.isArray(providers)) return unknownGateway;
  const text = providers.filter(({ kind }) => kind === "text");
  return {
    tiers: providers,
    hasModel: text.length === 0 || text.some(({ name }) => name !== "offline"),
    audioFormats: audioFormats ?? [],
    analyses: analysis !== undefined && analysis.state !== "off" && analysis.uploads === "task",
  };
}
