import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";
import { generateSpeech, streamText } from "ai";
import OpenAI from "openai";
import { createChannel } from "../../server/core/async.ts";

/** What a client got: a piece of the reply. */
export type Piece =
  | { readonly type: "text"; readonly text: string }
  /** Samples of 24 kHz. */
  | { readonly type: "sound"; readonly bytes: Uint8Array };

/** A vendor's client, unmodified, which knows the gateway by its base URL. */
export type DoorClient = {
  readonly name: string;
  /** What the gateway does with the words: it speaks them as they stand, or asks the model. */
  readonly door: "speech" | "chat" | "realtime";
  /** True if it hands the reply over as a whole. */
  readonly collects?: true;
  /** Yields the reply as it comes. When the signal fires it cancels as this client does, and throws. */
  run(baseURL: string, words: string, signal: AbortSignal): AsyncIterable<Piece>;
};

const apiKey = "unused";
const text = (piece: string): Piece => ({ type: "text", text: piece });
const sound = (bytes: Uint8Array): Piece => ({ type: "sound", bytes });

const openaiOf = (baseURL: string) => new OpenAI({ apiKey, baseURL, maxRetries: 0 });

const speech = { model: "tts-1", voice: "alloy", response_format: "pcm" } as const;

/** The clients of OpenAI's API. */
export const doorClients: readonly DoorClient[] = [
  {
    name: "openai, speech",
    door: "speech",
    async *run(baseURL, input, signal) {
      const { body } = await openaiOf(baseURL).audio.speech.create(
        { ...speech, input },
        { signal },
      );
      for await (const bytes of body ?? []) yield sound(bytes);
    },
  },
  {
    name: "openai, speech as events",
    door: "speech",
    async *run(baseURL, input, signal) {
      const params = { ...speech, input, stream_format: "sse" } as const;
      const response = await openaiOf(baseURL).audio.speech.create(params, { signal });
      let held = "";
      for await (const bytes of response.body ?? []) {
        const events = (held + Buffer.from(bytes)).split("\n\n");
        held = events.pop() ?? "";
        for (const event of events) {
          const { audio, error } = JSON.parse(event.replace(/^data: /, ""));
          if (error) throw new Error(error.message);
          if (audio) yield sound(Buffer.from(audio, "base64"));
        }
      }
    },
  },
  {
    name: "openai, chat",
    door: "chat",
    async *run(baseURL, content, signal) {
      const stream = await openaiOf(baseURL).chat.completions.create(
        { model: "parley", messages: [{ role: "user", content }], stream: true },
        { signal },
      );
      for await (const { choices } of stream) {
        if (choices[0]?.delta.content) yield text(choices[0].delta.content);
      }
      // The stream just ends when it is aborted.
      signal.throwIfAborted();
    },
  },
  {
    name: "ai with @ai-sdk/openai, speech",
    door: "speech",
    collects: true,
    async *run(baseURL, input, abortSignal) {
      const { audio } = await generateSpeech({
        model: createOpenAI({ apiKey, baseURL }).speech("tts-1"),
        text: input,
        outputFormat: "pcm",
        maxRetries: 0,
        abortSignal,
      });
      yield sound(audio.uint8Array);
    },
  },
  {
    name: "ai with @ai-sdk/openai, chat",
    door: "chat",
    async *run(baseURL, prompt, abortSignal) {
      let failure: unknown;
      const { textStream } = streamText({
        model: createOpenAI({ apiKey, baseURL }).chat("parley"),
        prompt,
        maxRetries: 0,
        abortSignal,
        onError({ error }) {
          failure = error;
        },
      });
      for await (const delta of textStream) yield text(delta);
      if (failure) throw failure;
      abortSignal.throwIfAborted();
    },
  },
  {
    name: "@langchain/openai",
    door: "chat",
    async *run(baseURL, prompt, signal) {
      const model = new ChatOpenAI({
        model: "parley",
        apiKey,
        configuration: { baseURL },
        maxRetries: 0,
      });
      for await (const { text: delta } of await model.stream(prompt, { signal })) {
        if (delta !== "") yield text(delta);
      }
    },
  },
  { name: "@openai/agents-realtime", door: "realtime", run: runRealtimeSession },
];

/** A session of one turn. It interrupts the agent when the signal fires. */
async function* runRealtimeSession(
  baseURL: string,
  words: string,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  const transport = new OpenAIRealtimeWebSocket();
  const session = new RealtimeSession(new RealtimeAgent({ name: "Parley" }), { transport });
  const pieces = createChannel<Piece>(Number.POSITIVE_INFINITY, new AbortController().signal);
  session.on("audio", ({ data }) => void pieces.push(sound(new Uint8Array(data))));
  session.on("error", ({ error }) => pieces.close(error));
  session.on("transport_event", (event) => {
    if (event.type === "response.output_audio_transcript.delta") {
      void pieces.push(text(event["delta"]));
    }
    if (event.type === "response.done") pieces.close(failureOf(event["response"]));
  });
  const interrupt = () => session.interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    await session.connect({ apiKey, url: `${baseURL.replace(/^http/, "ws")}/realtime` });
    session.sendMessage(words);
    yield* pieces;
  } finally {
    signal.removeEventListener("abort", interrupt);
    session.close();
  }
}

type Done = {
  readonly status?: string;
  readonly status_details?: { readonly error?: { readonly message?: string } };
};

function failureOf({ status, status_details: details }: Done): Error | undefined {
  if (status === "completed") return undefined;
  return new Error(`${status}: ${details?.error?.message ?? ""}`);
}
