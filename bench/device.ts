import { type Client, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";

/** What the load speaks, always over HTTP/2. */
export type Protocol = "gRPC" | "gRPC-Web" | "Connect";

/** A client with a connection of its own, as each native client has. */
export type Device = {
  readonly id: string;
  readonly client: Client<typeof StreamingService>;
  close(): void;
};

/** Connects a device. */
export async function openDevice(
  url: string,
  { id, protocol }: { readonly id: string; readonly protocol: Protocol },
  signal: AbortSignal,
): Promise<Device> {
  const sessions = new Http2SessionManager(url);
  const client = createClient(StreamingService, openTransport(url, protocol, sessions));
  // A call that does nothing: no turn pays for the connection.
  await client.interruptSession({ hardwareId: id }, { signal });
  return { id, client, close: () => sessions.abort() };
}

function openTransport(
  baseUrl: string,
  protocol: Protocol,
  sessions: Http2SessionManager,
): Transport {
  switch (protocol) {
    case "gRPC":
      return createGrpcTransport({ baseUrl, sessionManager: sessions });
    case "gRPC-Web":
      return createGrpcWebTransport({ baseUrl, sessionManager: sessions, httpVersion: "2" });
    case "Connect":
      return createConnectTransport({ baseUrl, sessionManager: sessions, httpVersion: "2" });
  }
}
