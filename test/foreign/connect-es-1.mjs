// connect-es 1, which reads messages by the contract's own descriptors.
import { readFileSync } from "node:fs";
import { createRegistryFromDescriptors } from "@bufbuild/protobuf";
import { ConnectError, createPromiseClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";

const transports = {
  grpc: (baseUrl) => createGrpcTransport({ baseUrl, httpVersion: "2" }),
  "grpc-web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
};

const contract = readFileSync(new URL("../../proto/baseline.binpb", import.meta.url));
const service = createRegistryFromDescriptors(contract).findService("streaming.StreamingService");
const methods = Object.entries(service.methods);

export function open(url, variant) {
  const client = createPromiseClient(service, transports[variant](url));
  return async function* ({ name, streams, request }, signal) {
    const [local, { I }] = methods.find(([, method]) => method.name === name);
    const answer = client[local](I.fromBinary(request), { signal });
    if (streams) for await (const message of answer) yield message.toBinary();
    else yield (await answer).toBinary();
  };
}

export function failureOf(error) {
  const { code, rawMessage, metadata } = ConnectError.from(error);
  return { code, message: rawMessage, reason: metadata.get("parley-reason") ?? undefined };
}
