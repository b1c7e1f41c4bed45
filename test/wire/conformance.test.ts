import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { TurnChunk } from "../../server/conversation/reply.ts";
import { closeAll, openPort } from "../support/sockets.ts";
import { openScriptedHandler, soundChunk } from "./scripted-conversation.ts";

afterEach(closeAll);

// The cases of connectrpc.com/conformance for server streams, as a table: its runner is a program
// that npm does not have.

type Case = {
  readonly name: string;
  readonly responses: readonly TurnChunk[];
  readonly error?: ConnectError;
};

const text = (words: string): TurnChunk => ({ type: "text", text: words });
const two = [text("test response"), soundChunk()];
const codes = Object.values(Code).filter((code) => typeof code === "number");
const metadata = { "x-custom-trailer": "bing", "x-custom-bin": "AAEC" };
const detail = { desc: HealthCheckRequestSchema, value: { service: "a detail" } };

const cases: readonly Case[] = [
  { name: "success", responses: two },
  {
    name: "success with many responses",
    responses: Array.from({ length: 40 }, () => soundChunk()),
  },
  { name: "no responses", responses: [] },
  ...codes.flatMap((code) => [
    { name: `error ${Code[code]}`, responses: [], error: new ConnectError(`it is ${code}`, code) },
    {
      name: `error ${Code[code]} with responses`,
      responses: two,
      error: new ConnectError(`it is ${code}`, code),
    },
  ]),
  {
    name: "error with metadata",
    responses: two,
    error: new ConnectError("unauthenticated", Code.Unauthenticated, metadata),
  },
  {
    name: "error with details",
    responses: two,
    error: new ConnectError("server stream failed", Code.Internal, {}, [detail]),
  },
  {
    name: "unicode error message",
    responses: two,
    error: new ConnectError(
      "\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\n",
      Code.Internal,
    ),
  },
];

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "gRPC over HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web over HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "Connect over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
};

async function receive(transport: Transport) {
  const client = createClient(StreamingService, transport);
  const messages: unknown[] = [];
  try {
    for await (const { content } of client.streamAudio({ prompt: "Go.", hardwareId: "a" })) {
      messages.push(content.case === "audioChunk" ? content.value.audioData.length : content.value);
    }
  } catch (error) {
    return { messages, error: ConnectError.from(error) };
  }
  return { messages };
}

function expectedMessages({ responses, error }: Case): readonly unknown[] {
  const sent = responses.map((chunk) =>
    chunk.type === "text" ? chunk.text : chunk.pcm.byteLength,
  );
  if (!error) return [...sent, "done"];
  return sent.length > 0 ? [...sent, error.rawMessage] : [];
}

describe.each(Object.entries(transports))("a server stream by %s", (_name, open) => {
  it.each(cases)("brings $name", async (each) => {
    const handle = openScriptedHandler(function* () {
      for (const chunk of each.responses) yield [chunk];
      if (each.error) throw each.error;
    });
    const { address } = await openPort({ handle });
    const { messages, error } = await receive(open(`http://127.0.0.1:${address.port}`));
    expect(messages).toEqual(expectedMessages(each));
    expect(error?.code).toBe(each.error?.code);
    expect(error?.rawMessage).toBe(each.error?.rawMessage);
    for (const [name, value] of each.error?.metadata ?? []) {
      expect(error?.metadata.get(name)).toBe(value);
    }
    expect(
      error?.findDetails(HealthCheckRequestSchema).map(({ service }) => service) ?? [],
    ).toEqual(each.error?.details.length ? ["a detail"] : []);
  });
});
