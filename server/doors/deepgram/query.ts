import { z } from "zod";
import type { WebSocketRequest } from "../../core/web-socket.ts";

const RATES = ["8000", "16000", "24000", "32000", "48000"] as const;

const queryFields = z.looseObject({
  encoding: z.enum(["linear16"], "must be linear16 on this gateway").default("linear16"),
  container: z.enum(["none"], "must be none").default("none"),
  sample_rate: z.enum(RATES, `must be one of ${RATES.join(", ")}`).default("24000"),
  speed: z.enum(["1", "1.0"], "must be 1 on this gateway").default("1"),
  model: z.string().max(128, "must be at most 128 characters").default("aura-asteria-en"),
});

/** What a connection asks for. */
export type SpeakOptions = {
  readonly sampleRateHz: number;
  /** As the client wrote it. */
  readonly model: string;
  readonly voice: { readonly voice?: string; readonly language?: string };
};

/** The options in a request's query, or a line that names the field and the rule. */
export function readQuery({ url }: WebSocketRequest): SpeakOptions | string {
  const parsed = queryFields.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue?.path.join(".")} ${issue?.message}`;
  }
  const { model, sample_rate } = parsed.data;
  return { sampleRateHz: Number(sample_rate), model, voice: voiceOf(model) };
}

/** Deepgram's own models end in a language: any voice speaks it. Another name is a voice of the tiers. */
function voiceOf(model: string): SpeakOptions["voice"] {
  const language = /^aura(?:-2)?-\w+-([a-z]{2})$/.exec(model)?.[1];
  return language === undefined ? { voice: model } : { language };
}
