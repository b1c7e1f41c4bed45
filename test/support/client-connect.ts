import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import * as native from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, type ConnectedClient, toStep } from "./client.ts";

/** connect-es: its transports for Node over both HTTPs, and those for browsers on Node's fetch. */
export const connectClients: readonly ClientUnderTest[] = [
  client("connect-node, gRPC", (baseUrl) => native.createGrpcTransport({ baseUrl })),
  client("connect-node, gRPC-Web, HTTP/1.1", (baseUrl) =>
    native.createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  ),
  client("connect-node, gRPC-Web, HTTP/2", (baseUrl) =>
    native.createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  ),
  client("connect-node, Connect, HTTP/1.1", (baseUrl) =>
    native.createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  ),
  client("connect-node, Connect, HTTP/2", (baseUrl) =>
    native.createConnectTransport({ baseUrl, httpVersion: "2" }),
  ),
  client("connect-web, gRPC-Web", (baseUrl) => web.createGrpcWebTransport({ baseUrl })),
  client("connect-web, Connect", (baseUrl) =>
    web.createConnectTransport({ baseUrl, useBinaryFormat: true }),
  ),
  client("connect-web, Connect, JSON", (baseUrl) => web.createConnectTransport({ baseUrl })),
];

function client(name: string, open: (baseUrl: string) => Transport): ClientUnderTest {
  return { name, connect: (gateway) => connect(open(gateway.url)) };
}

function connect(transport: Transport): ConnectedClient {
  const client = createClient(StreamingService, transport);
  return {
    async *turn({ prompt, deviceId, sessionId }, signal) {
      const request = { prompt, hardwareId: deviceId, ...(sessionId && { sessionId }) };
      try {
        for await (const message of client.streamAudio(request, { signal })) yield toStep(message);
      } catch (error) {
        throw error instanceof ConnectError ? toFailure(error) : error;
      }
    },
    interrupt: (deviceId) => client.interruptSession({ hardwareId: deviceId }),
    // The gateway closes the connections when it stops.
    [Symbol.dispose]: () => undefined,
  };
}

function toFailure({ code, rawMessage, metadata }: ConnectError): CallFailed {
  const name = Code[code].replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
  return new CallFailed(name, rawMessage, metadata.get("parley-reason") ?? undefined);
}
