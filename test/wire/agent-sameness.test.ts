import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  CustomFunctionRequestSchema,
  FileRequestSchema,
  PromptRequestSchema,
} from "../../gen/neira/agent/agent_pb.ts";
import { faultCommand } from "../agent/agents.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Exchange, versions } from "./exchange.ts";
import type { ComparedRequest } from "./requests.ts";

const service = "/neira.agent.PythonAgentService";
const prompt = (text: string) =>
  toBinary(PromptRequestSchema, create(PromptRequestSchema, { prompt: text }));
const envelope = (message: Uint8Array, flags = 0) => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};
const hello = envelope(prompt("Hello."));

type Case = Partial<ComparedRequest> & { readonly name: string };

const cases: readonly Case[] = [
  { name: "a call", body: hello },
  { name: "a call without te", headers: { "content-type": "application/grpc" }, body: hello },
  { name: "an empty message", body: envelope(new Uint8Array()) },
  {
    name: "an unknown field",
    body: envelope(Buffer.concat([prompt("Hello."), Buffer.of(0xa0, 0x1f, 1)])),
  },
  { name: "the agent's refusal", body: envelope(prompt("refuse")) },
  { name: "the agent's failure", body: envelope(prompt("fail")) },
  { name: "no body", body: Buffer.alloc(0) },
  { name: "two messages", body: Buffer.concat([hello, hello]) },
  { name: "half an envelope", body: hello.subarray(0, -3) },
  { name: "half a prefix", body: hello.subarray(0, 3) },
  { name: "no protobuf", body: envelope(Buffer.from([0xff, 0xff, 0xff])) },
  { name: "text that is no UTF-8", body: envelope(Buffer.of(0x0a, 2, 0xff, 0xfe)) },
  { name: "unknown flags", body: envelope(prompt("Hello."), 4) },
  { name: "a compressed message without its encoding", body: envelope(prompt("Hello."), 1) },
  { name: "an announced length above the limit", body: Buffer.of(0, 0xff, 0xff, 0xff, 0xff, 1) },
  { name: "a malformed deadline", headers: { "grpc-timeout": "soon" }, body: hello },
  { name: "a deadline of years", headers: { "grpc-timeout": "99999999H" }, body: hello },
  { name: "an identity encoding", headers: { "grpc-encoding": "identity" }, body: hello },
  {
    name: "a method that is not allowed",
    path: `${service}/ProcessFile`,
    body: envelope(toBinary(FileRequestSchema, create(FileRequestSchema, { filePath: "/" }))),
  },
  {
    name: "a custom function",
    path: `${service}/CallCustomFunction`,
    body: envelope(
      toBinary(
        CustomFunctionRequestSchema,
        create(CustomFunctionRequestSchema, { functionName: "received" }),
      ),
    ),
  },
  {
    name: "a method that the agent lacks",
    path: `${service}/SetContext`,
    body: envelope(new Uint8Array()),
  },
];

function start(responseWire: boolean): Promise<Gateway> {
  return startGateway({ responseWire, env: { AGENT_COMMAND: JSON.stringify(faultCommand()) } });
}

function send(gateway: Gateway, { headers, ...rest }: Case): Promise<Exchange> | undefined {
  return versions["HTTP/2"]?.(gateway.grpcPort, {
    method: "POST",
    path: `${service}/ProcessPrompt`,
    headers: { "content-type": "application/grpc+proto", te: "trailers", ...headers },
    body: hello,
    withoutLength: true,
    ...rest,
  });
}

describe("createUnaryWire", () => {
  it("answers unary calls of the agent as connect-node does, byte by byte", async () => {
    await using direct = await start(true);
    await using adapter = await start(false);
    for (const each of cases) {
      const [first, second] = await Promise.all([send(direct, each), send(adapter, each)]);
      expect(comparable(first), each.name).toEqual(comparable(second));
    }
  });
});

/** Without the time of an error. */
function comparable(exchange: Exchange | undefined) {
  expect(exchange?.status).toBe(200);
  const { "parley-time": _, ...trailers } = exchange?.trailers ?? {};
  return { ...exchange, trailers };
}
