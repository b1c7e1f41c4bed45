import { create, createFileRegistry, fromBinary, type Message } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { servedServices } from "../server/handler.ts";
import { maxCallMs } from "../server/rpc/deadlines.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { PAUSED } from "./support/replies.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ env: { MAX_SESSIONS: "1" } });
});
afterAll(() => gateway.stop());

const names = servedServices.map(({ typeName }) => typeName);

type Question = {
  readonly case: "listServices" | "fileContainingSymbol" | "fileByFilename";
  readonly value: string;
};

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", ServerReflectionAlpha],
])("server reflection %s", (_, service) => {
  /** Asks questions over one stream. */
  const ask = async (...questions: readonly Question[]) => {
    const transport = createGrpcTransport({ baseUrl: gateway.url });
    const client = createClient(service as typeof ServerReflection, transport);
    async function* requests() {
      for (const messageRequest of questions) yield { host: "h", messageRequest };
    }
    return await Array.fromAsync(client.serverReflectionInfo(requests()));
  };

  it("lists the services", async () => {
    const [response] = await ask({ case: "listServices", value: "" });
    const listed = response?.messageResponse;
    expect(response).toMatchObject({ validHost: "h", originalRequest: { host: "h" } });
    expect(
      listed?.case === "listServicesResponse" && listed.value.service.map(({ name }) => name),
    ).toEqual([...names].sort());
  });

  it.each(names)("describes %s so that a client can call it", async (name) => {
    const [response] = await ask({ case: "fileContainingSymbol", value: name });
    const found = response?.messageResponse;
    if (found?.case !== "fileDescriptorResponse") throw new Error("no files");
    const file: FileDescriptorProto[] = found.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.reverse() }));
    const served = servedServices.find(({ typeName }) => typeName === name);
    const described = registry.getService(name);
    expect(described?.methods.map((method) => [method.name, method.methodKind])).toEqual(
      served?.methods.map((method) => [method.name, method.methodKind]),
    );
    expect(described?.methods.map(({ input }) => input.fields.map((field) => field.name))).toEqual(
      served?.methods.map(({ input }) => input.fields.map((field) => field.name)),
    );
  });

  it("finds a file by its name, and by a method, a message, a field and a value in it", async () => {
    const responses = await ask(
      { case: "fileByFilename", value: "streaming/streaming.proto" },
      ...[
        "streaming.StreamingService.StreamAudio",
        "streaming.StreamRequest",
        ".streaming.StreamRequest.prompt",
        "streaming.REQUEST_PHASE_COLLECT",
      ].map((value) => ({ case: "fileContainingSymbol", value }) as const),
    );
    const files = responses.map(({ messageResponse }) =>
      messageResponse.case === "fileDescriptorResponse"
        ? fromBinary(
            FileDescriptorProtoSchema,
            messageResponse.value.fileDescriptorProto[0] ?? new Uint8Array(),
          ).name
        : messageResponse.case,
    );
    expect(files).toEqual(responses.map(() => "streaming/streaming.proto"));
  });

  it("answers NOT_FOUND for what is not there, and goes on", async () => {
    const responses = await ask(
      { case: "fileContainingSymbol", value: "other.Service" },
      { case: "fileByFilename", value: "../../etc/passwd" },
      { case: "listServices", value: "" },
    );
    expect(responses.map(({ messageResponse }) => messageResponse.case)).toEqual([
      "errorResponse",
      "errorResponse",
      "listServicesResponse",
    ]);
    expect(responses[0]?.messageResponse.value).toMatchObject({ errorCode: Code.NotFound });
  });
});

describe.each([
  ["gRPC", createGrpcTransport],
  ["gRPC-Web", createGrpcWebTransport],
  ["Connect", createConnectTransport],
])("error details over %s", (_, createTransport) => {
  const client = () =>
    createClient(
      StreamingService,
      createTransport({ baseUrl: gateway.url, httpVersion: "2" } as never),
    );
  const failureOf = async (call: Promise<unknown>) =>
    await call.then(
      () => {
        throw new Error("the call succeeded");
      },
      (error: unknown) => ConnectError.from(error),
    );
  const plain = (message: Message | undefined) => message && JSON.parse(JSON.stringify(message));

  it("name the field and its rule (BadRequest), and the reason (ErrorInfo)", async () => {
    const error = await failureOf(client().interruptSession({ hardwareId: "" }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(plain(error.findDetails(BadRequestSchema)[0])).toMatchObject({
      fieldViolations: [{ field: "hardware_id", description: "is required and must not be empty" }],
    });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "INVALID_FIELD", domain: "parley" },
    ]);
  });

  it("say when to come back (RetryInfo) where there is no room", async () => {
    const leave = new AbortController();
    const turn = client().streamAudio(
      { prompt: PAUSED.prompt, hardwareId: "d" },
      { signal: leave.signal },
    );
    const reading = turn[Symbol.asyncIterator]();
    await reading.next();
    const other = client().streamAudio({ prompt: "Hi.", hardwareId: "e" });
    const error = await failureOf(other[Symbol.asyncIterator]().next());
    leave.abort();
    await expect(reading.next()).rejects.toThrow();
    await gateway.untilIdle();
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([
      { retryDelay: { seconds: 2n, nanos: 0 } },
    ]);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "LIMIT_EXCEEDED" }]);
  });
});

describe("error details over HTTP", () => {
  it("say when to come back by retry-after", async () => {
    const post = () =>
      fetch(`${gateway.httpUrl}/v1/speak`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: PAUSED.prompt, hardware_id: "d", format: "sse" }),
      });
    const running = await post();
    const refused = await post();
    await running.body?.cancel();
    await gateway.untilIdle();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("2");
  });
});

describe("deadlines", () => {
  it("bound every served method, by an hour at most", () => {
    for (const { methods } of servedServices) {
      for (const { parent, name } of methods) {
        const ms = maxCallMs(`/${parent.typeName}/${name}`, 30_000);
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThanOrEqual(3_600_000);
      }
    }
  });
});
