import { createServer, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";

const silentLog = { debug() {}, info() {}, warn() {}, error() {} };

describe("a gateway whose vendors accept every connection and never answer", () => {
  it("speaks within 15 s on the first turns, and within 2 s once its circuits are open", async () => {
    await using hole = await startBlackHole();
    const app = createApp(readConfig(vendorsAt(hole.port)), { logger: silentLog });
    const { grpc } = await app.start();
    try {
      const speak = firstSoundMs(`http://127.0.0.1:${grpc.port}`);
      const first = await Promise.all(["a", "b", "c", "d", "e"].map(speak));
      expect(Math.max(...first)).toBeLessThan(15_000);
      await speak("f");
      expect(await speak("g")).toBeLessThan(2000);
    } finally {
      await app.stop();
    }
  }, 120_000);
});

/** Every vendor at one port, and all else as by default. */
function vendorsAt(port: number) {
  return {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    GEMINI_API_KEY: "k",
    GEMINI_BASE_URL: `http://127.0.0.1:${port}`,
    LANGCHAIN_MODEL: "openai:m",
    OPENAI_API_KEY: "k",
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
    AZURE_SPEECH_KEY: "k",
    AZURE_SPEECH_HOST: `ws://127.0.0.1:${port}`,
    EDGE_TTS_ENABLED: "true",
    EDGE_TTS_URL: `ws://127.0.0.1:${port}`,
  };
}

/** Runs a turn to its end; returns when its first sound came. */
function firstSoundMs(baseUrl: string) {
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
  return async (hardwareId: string) => {
    const begunMs = performance.now();
    let soundMs = Number.POSITIVE_INFINITY;
    let end: string | undefined;
    for await (const { content } of client.streamAudio({
      prompt: "What time is it?",
      hardwareId,
    })) {
      if (content.case === "audioChunk") soundMs = Math.min(soundMs, performance.now() - begunMs);
      if (content.case === "endMessage") end = content.value;
    }
    expect(end).toBe("done");
    return soundMs;
  };
}

/** Accepts connections and never says a word. */
async function startBlackHole(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined).resume());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
