import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { samplesOf } from "../../server/core/pcm/bytes.ts";
import { readSpelling } from "../../server/testing/spelling-voice.ts";

/** How another client's turn went while something hostile was under way. */
export type CanaryResult = {
  /** The text and the sound, read back. Both must be the prompt. */
  readonly text: string;
  readonly spelled: string;
  /** The longest time between two messages after the first, in milliseconds. */
  readonly maxGapMs: number;
};

/** Another client, on a connection of its own. */
export type Canary = {
  /** Begins a turn. Resolves when its first sound is there; `result` when it is over. */
  sing(prompt: string): Promise<{ readonly result: Promise<CanaryResult> }>;
  close(): void;
};

/** Connects a canary to a port. */
export function openCanary(port: number): Canary {
  const baseUrl = `http://127.0.0.1:${port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const client = createClient(
    StreamingService,
    createGrpcTransport({ baseUrl, sessionManager, defaultTimeoutMs: 20_000 }),
  );
  return {
    async sing(prompt) {
      const begun = Promise.withResolvers<void>();
      const result = listen(client.streamAudio({ prompt, hardwareId: "canary" }), begun.resolve);
      result.catch(begun.reject);
      await begun.promise;
      return { result };
    },
    close: () => sessionManager.abort(),
  };
}

type Streamed = ReturnType<ReturnType<typeof createClient<typeof StreamingService>>["streamAudio"]>;

async function listen(responses: Streamed, onFirstSound: () => void): Promise<CanaryResult> {
  const sound: Int16Array[] = [];
  let text = "";
  let maxGapMs = 0;
  let atMs: number | undefined;
  for await (const { content } of responses) {
    const nowMs = performance.now();
    if (atMs !== undefined) maxGapMs = Math.max(maxGapMs, nowMs - atMs);
    if (content.case === "textChunk") text += content.value;
    if (content.case !== "audioChunk") continue;
    sound.push(samplesOf(content.value.audioData));
    atMs = nowMs;
    onFirstSound();
  }
  return { text, spelled: readSpelling(sound), maxGapMs };
}
