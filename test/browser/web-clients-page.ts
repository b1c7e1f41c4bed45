import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  file_streaming_streaming,
  StreamRequestSchema,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { type Ask, type Step, toStep } from "../support/client.ts";
import { grpcWebClients } from "../support/client-grpc-web.ts";
import { protobufTsClients } from "../support/client-protobuf-ts.ts";
import type { Gateway } from "../support/gateway.ts";

/** What the page tells its test of a step: sound by its bytes. */
export type Told = { readonly type: Step["type"]; readonly text: string; readonly bytes: number };

/** The function that the test gives to the page. */
type Tell = (told: Told) => Promise<void>;

/** What test/foreign/page.mjs adds: turns by the client's name, from message to messages in binary. */
type ForeignTurns = {
  readonly [name: string]: (url: string, request: Uint8Array) => AsyncIterable<Uint8Array>;
};

/** What the page holds beside its own script. */
const page = globalThis as unknown as { readonly tell: Tell; readonly foreignTurns?: ForeignTurns };

/** Runs a turn in the page, and tells of each message as soon as the library hands it over. */
async function talk(name: string, url: string, prompt: string): Promise<void> {
  const client = [...grpcWebClients, ...protobufTsClients].find((each) => each.name === name);
  const ask = { prompt, deviceId: crypto.randomUUID() };
  // Of a gateway, the clients for browsers know its URL alone.
  const steps = client
    ? client.connect({ url } as Gateway).turn(ask, new AbortController().signal)
    : runForeign(name, url, ask);
  for await (const step of steps) await page.tell(toTold(step));
}

async function* runForeign(
  name: string,
  url: string,
  { prompt, deviceId: hardwareId }: Ask,
): AsyncGenerator<Step> {
  const turn = page.foreignTurns?.[name];
  if (!turn) throw new Error(`there is no client ${name}`);
  const request = create(StreamRequestSchema, { prompt, hardwareId });
  for await (const bytes of turn(url, toBinary(StreamRequestSchema, request))) {
    yield toStep(fromBinary(StreamResponseSchema, bytes));
  }
}

function toTold(step: Step): Told {
  const bytes = step.type === "audio" ? step.chunk.bytes.byteLength : 0;
  const text = step.type === "text" ? step.text : step.type === "audio" ? "" : step.message;
  return { type: step.type, text, bytes };
}

/** The contract as a `FileDescriptorSet`, for clients that read their types at run time. */
const contract = toBinary(
  FileDescriptorSetSchema,
  create(FileDescriptorSetSchema, { file: [file_streaming_streaming.proto] }),
);

Object.assign(globalThis, { contract, talk });
