import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type Client, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { scopes } from "../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../server/auth/token-file.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { ProgramFailed, runLines } from "./support/program.ts";

const PROTO = fileURLToPath(new URL("../proto", import.meta.url));
const BUF = fileURLToPath(new URL("../node_modules/.bin/buf", import.meta.url));

let folder: string;
let token: string;
let gateway: Gateway;
let guarded: Gateway;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-buf-"));
  const made = createToken({ device: "d", scopes });
  token = made.token;
  await writeTokenFile(join(folder, "tokens.json"), { tokens: [made.stored], revokedJwts: [] });
  gateway = await startGateway();
  guarded = await startGateway({ env: { AUTH_MODE: "token", DATA_DIR: folder } });
});
afterAll(async () => {
  await gateway.stop();
  await guarded.stop();
  await rm(folder, { recursive: true });
});

/** Runs `buf curl` over gRPC and returns what it prints. */
async function bufCurl(...args: readonly string[]): Promise<string> {
  const common = ["curl", "--protocol=grpc", "--http2-prior-knowledge"];
  const signal = AbortSignal.timeout(30_000);
  return (await Array.fromAsync(runLines(BUF, [...common, ...args], signal))).join("\n");
}

describe("buf curl without a schema", () => {
  it.each(["grpc-v1", "grpc-v1alpha"])("calls an RPC by reflection %s", async (protocol) => {
    const reflect = ["--reflect", "--reflect-protocol", protocol];
    const printed = await bufCurl(
      ...reflect,
      "--data",
      '{"prompt": "say: Hi.", "hardware_id": "d"}',
      `${gateway.url}/streaming.StreamingService/StreamAudio`,
    );
    expect(printed).toContain('"endMessage": "done"');
  });

  it("lists the services and the methods", async () => {
    const printed = await bufCurl("--list-methods", gateway.url);
    expect(printed).toContain("streaming.StreamingService/StreamAudio");
    expect(printed).toContain("grpc.health.v1.Health/Check");
  });

  it("asks with a token, and is refused without one", async () => {
    const url = `${guarded.url}/streaming.StreamingService/InterruptSession`;
    const auth = `authorization: Bearer ${token}`;
    const printed = await bufCurl("--header", auth, "--reflect-header", auth, "--data", "{}", url);
    expect(printed).toContain('"success": true');
    const refused = bufCurl("--schema", PROTO, "--data", "{}", url);
    await expect(refused).rejects.toThrow(ProgramFailed);
    await refused.catch(({ stderr }: ProgramFailed) => expect(stderr).toMatch(/unauthenticated/i));
  });
});

describe("grpc-js", () => {
  it("reads the details of an error from grpc-status-details-bin", async () => {
    const identity = (bytes: Buffer) => bytes;
    const path = "/streaming.StreamingService/InterruptSession";
    const definition = {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    };
    const Service = makeGenericClientConstructor({ call: definition }, "Service");
    const client: Client = new Service(
      `127.0.0.1:${gateway.grpcPort}`,
      credentials.createInsecure(),
    );
    const error = await new Promise<{ code?: number; metadata?: { get(name: string): unknown[] } }>(
      (resolve) =>
        client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), (failure) =>
          resolve(failure as never),
        ),
    );
    client.close();
    expect(error.code).toBe(Code.InvalidArgument);
    const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
    expect(String(details)).toContain("type.googleapis.com/google.rpc.BadRequest");
    expect(String(details)).toContain("hardware_id");
  });
});

describe("a call without a deadline", { timeout: 60_000 }, () => {
  it("is ended by the gateway's own", async () => {
    const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: gateway.url }));
    async function* silent() {
      yield { messageRequest: { case: "listServices", value: "" } as const };
      await new Promise(() => undefined);
    }
    const startMs = performance.now();
    const responses: unknown[] = [];
    const read = async () => {
      for await (const response of client.serverReflectionInfo(silent())) responses.push(response);
    };
    const error = await read().then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    expect(responses).toHaveLength(1);
    expect(error?.code).toBe(Code.DeadlineExceeded);
    expect(performance.now() - startMs).toBeGreaterThan(29_000);
  });
});
