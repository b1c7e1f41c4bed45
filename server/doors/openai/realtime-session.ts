import { randomUUID } from "node:crypto";
import { z } from "zod";
import { MAX_PROMPT_BYTES } from "../../conversation/turn-request.ts";
import { invalidField } from "./errors.ts";
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

/** A session's settings, and what of them the client reads back. */
export type RealtimeSession = {
  readonly id: string;
  settings(): RealtimeSettings;
  /** Takes the `session` of `session.update`. Throws `OpenaiProblem`, and then nothing has changed. */
  update(session: unknown): void;
  /** The session as OpenAI's events have it. */
  describe(): object;
};

const pcm = { type: "audio/pcm", rate: 24_000 } as const;

const format = z.looseObject({ type: z.literal(pcm.type), rate: z.literal(pcm.rate).optional() });

/** Nobody listens, so nothing is detected. */
const fixedInput = { turn_detection: null } as const;

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

/** What of the microphone is asked for has no effect, and is said back. */
const sessionFields = z.looseObject({
  ...wanted,
  type: z.literal("realtime").nullish(),
  audio: z.looseObject({ input: z.looseObject({}).nullish(), output: output.nullish() }).nullish(),
});

/** Opens a session with the defaults. `model` is what the client named: its replies say so. */
export function createSession(model: string): RealtimeSession {
  const id = `sess_${randomUUID()}`;
  let settings: RealtimeSettings = {
    instructions: "",
    isSpoken: true,
    voice: "alloy",
    speed: 1,
  };
  let input: object = { format: pcm, transcription: null, noise_reduction: null, ...fixedInput };
  return {
    id,
    settings: () => settings,
    update(session) {
      const fields = checkFields(sessionFields, session, "session");
      settings = merge(settings, fields, "session");
      input = { ...input, ...fields.audio?.input, ...fixedInput };
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
