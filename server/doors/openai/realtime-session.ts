import { randomUUID } from "node:crypto";
import { z } from "zod";
import { MAX_PROMPT_BYTES } from "../../conversation/turn-request.ts";
import { invalidField } from "./errors.ts";
import type { TurnDetection } from "./realtime-microphone.ts";
import { checkFields } from "./request.ts";

/** What a session, or one response of it, wants. */
export type RealtimeSettings = {
  /** The client's instructions; "" for the gateway's own. */
  readonly instructions: string;
  /** Whether replies are spoken; else they are text. */
  readonly isSpoken: boolean;
  /** One of OpenAI's names, or a tier's own. */
  readonly voice: string;
  readonly speed: number;
};

/** What of the user's voice a session wants. */
type InputSettings = {
  readonly detection: TurnDetection;
  /** Whether the words of it are told. */
  readonly isTranscribed: boolean;
};

/** A session's settings, and what of them the client reads back. */
export type RealtimeSession = {
  readonly id: string;
  settings(): RealtimeSettings;
  input(): InputSettings;
  /** Takes the `session` of `session.update`. Throws `OpenaiProblem`, and then nothing has changed. */
  update(session: unknown): void;
  /** The session as OpenAI's events have it. */
  describe(): object;
};

const pcm = { type: "audio/pcm", rate: 24_000 } as const;

const format = z.looseObject({ type: z.literal(pcm.type), rate: z.literal(pcm.rate).optional() });

/** Where nobody listens nothing is detected. */
const deafInput = { turn_detection: null } as const;

/** With OpenAI's defaults. What it calls semantic is detected in the same way, and said back as such. */
const turnDetection = z.object({
  type: z.enum(["server_vad", "semantic_vad"]).transform(() => "server_vad" as const),
  threshold: z.number().min(0).max(1).default(0.5),
  prefix_padding_ms: z.number().int().min(0).max(5_000).default(300),
  silence_duration_ms: z.number().int().min(100).max(10_000).default(500),
  create_response: z.boolean().default(true),
  interrupt_response: z.boolean().default(true),
});

const input = z.looseObject({
  format: format.nullish(),
  transcription: z.looseObject({}).nullish(),
  turn_detection: turnDetection.nullish(),
});

const output = z.looseObject({
  format: format.nullish(),
  voice: z.string().min(1).nullish(),
  speed: z.number().min(0.25).max(1.5).nullish(),
});

const wanted = {
  instructions: z.string().nullish(),
  output_modalities: z.array(z.enum(["text", "audio"])).nullish(),
  tools: z.array(z.unknown()).nullish(),
};

/** The settings of one response; those of the session hold where it has none. */
const responseFields = z.looseObject({
  ...wanted,
  audio: z.looseObject({ output: output.nullish() }).nullish(),
});

type Input = z.output<typeof input> & { readonly noise_reduction?: unknown };

/** Where nobody listens, what is asked of the microphone has no effect, and is said back. */
const sessionFields = (hears: boolean) =>
  z.looseObject({
    ...wanted,
    type: z.literal("realtime").nullish(),
    audio: z
      .looseObject({
        input: (hears ? input : z.looseObject({})).nullish(),
        output: output.nullish(),
      })
      .nullish(),
  });

/** Opens a session with the defaults. `model` is what the client named: its replies say so. */
export function createSession(model: string, hears: boolean): RealtimeSession {
  const id = `sess_${randomUUID()}`;
  let settings: RealtimeSettings = {
    instructions: "",
    isSpoken: true,
    voice: "alloy",
    speed: 1,
  };
  const fields = sessionFields(hears);
  const detection = hears ? turnDetection.parse({ type: "server_vad" }) : null;
  let input: Input = {
    format: pcm,
    transcription: null,
    noise_reduction: null,
    turn_detection: detection,
  };
  return {
    id,
    settings: () => settings,
    input: () => ({
      detection: input.turn_detection ?? null,
      isTranscribed: Boolean(input.transcription),
    }),
    update(session) {
      const { audio, ...rest } = checkFields(fields, session, "session");
      settings = merge(settings, { ...rest, audio }, "session");
      input = { ...input, ...audio?.input, ...(!hears && deafInput) };
    },
    describe() {
      const { audio, ...rest } = describeSettings(settings);
      return {
        type: "realtime",
        object: "realtime.session",
        id,
        model,
        ...rest,
        instructions: settings.instructions,
        tools: [],
        tool_choice: "auto",
        audio: { input, ...audio },
      };
    },
  };
}

/** The settings of a response. Throws `OpenaiProblem`. */
export function responseSettings(settings: RealtimeSettings, response: unknown): RealtimeSettings {
  return merge(settings, checkFields(responseFields, response, "response"), "response");
}

/** What a session and a response both tell of their settings. */
export function describeSettings({ isSpoken, voice, speed }: RealtimeSettings) {
  return {
    output_modalities: [isSpoken ? "audio" : "text"],
    max_output_tokens: "inf",
    audio: { output: { format: pcm, voice, speed } },
  };
}

function merge(
  settings: RealtimeSettings,
  fields: z.output<typeof responseFields>,
  path: string,
): RealtimeSettings {
  const { instructions, output_modalities: modalities, tools, audio } = fields;
  if (tools && tools.length > 0) {
    throw invalidField(`${path}.tools`, "must be empty: this gateway calls no tools");
  }
  if (instructions && Buffer.byteLength(instructions) > MAX_PROMPT_BYTES) {
    throw invalidField(
      `${path}.instructions`,
      `must be at most ${MAX_PROMPT_BYTES} bytes of UTF-8`,
    );
  }
  return {
    instructions: instructions ?? settings.instructions,
    isSpoken: modalities ? modalities.includes("audio") : settings.isSpoken,
    voice: audio?.output?.voice ?? settings.voice,
    speed: audio?.output?.speed ?? settings.speed,
  };
}
