import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRequestSchema } from "../../gen/streaming/streaming_pb.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { closeAll, openRaw } from "../support/sockets.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";

// The guards one by one are tested in the other files of this name. Here they stand in their places.

let gateway: Gateway;

beforeEach(async () => {
  gateway = await startGateway({
    languageModels: [createScriptedLanguageModel(["Fine."])],
    synthesizers: [createSpellingVoice()],
  });
});
afterEach(async () => {
  await closeAll();
  await gateway.stop();
});

const ports = () => [gateway.httpPort, gateway.grpcPort];
const path = "/streaming.StreamingService/StreamAudio";

describe("the gateway", () => {
  it("outlives a malformed host on every port", async () => {
    for (const port of ports()) {
      const client = await openRaw({ host: "127.0.0.1", port });
      client.socket.write(`POST ${path} HTTP/1.1\r\nHost: [\r\nContent-Length: 0\r\n\r\n`);
      expect(await client.closed()).toContain("the host is malformed");
      expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    }
  });

  it("reads a prompt that comes in 60,000 pieces, and answers others meanwhile", async () => {
    const message = create(StreamRequestSchema, { prompt: "x".repeat(60_000), hardwareId: "d" });
    const bytes = toBinary(StreamRequestSchema, message);
    const length = Buffer.alloc(5);
    length.writeUInt32BE(bytes.length, 1);
    const pieces = Array.from(Buffer.concat([length, bytes]), (byte) => [49, 13, 10, byte, 13, 10]);
    for (const port of ports()) {
      const client = await openRaw({ host: "127.0.0.1", port });
      client.socket.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      client.socket.write(Buffer.from([...pieces.flat(), ...Buffer.from("0\r\n\r\n")]));
      const health = await fetch(`http://127.0.0.1:${port}/health`, {
        signal: AbortSignal.timeout(2000),
      });
      expect(health.status).toBe(200);
      expect(await client.until("done")).toContain("Fine.");
    }
  });
});
