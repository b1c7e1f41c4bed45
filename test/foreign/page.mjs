// Other people's clients for browsers, unmodified, in a page: test/browser runs them in Chromium.
//
// Sets globalThis.foreignTurns: by the name of a client, a function that takes the gateway's URL and
// a StreamRequest in binary, and answers each StreamResponse in binary as the library hands it over.
import { createRegistryFromDescriptors } from "@bufbuild/protobuf";
import { Code, ConnectError, createPromiseClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import improbableGrpcWeb from "@improbable-eng/grpc-web";
import { createChannel, createClient, Status } from "nice-grpc-web";

const { grpc } = improbableGrpcWeb;
const serviceName = "streaming.StreamingService";
const methodName = "StreamAudio";

/** Reads and writes nothing: the bytes of a message pass as they are. */
const asIs = (bytes) => bytes;

async function* niceGrpcWeb(url, request) {
  const method = {
    path: `/${serviceName}/${methodName}`,
    requestStream: false,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
    options: {},
  };
  try {
    yield* createClient({ turn: method }, createChannel(url)).turn(request);
  } catch ({ code, details }) {
    throw new Error(`${Status[code]}: ${details}`);
  }
}

/** What the library looks at of a generated class. */
class Raw {
  constructor(bytes) {
    this.bytes = bytes;
  }
  serializeBinary() {
    return this.bytes;
  }
  static deserializeBinary(bytes) {
    return new Raw(bytes);
  }
}

/** It takes the page's `fetch` by itself. */
function improbable(url, request) {
  const method = {
    methodName,
    service: { serviceName },
    requestStream: false,
    responseStream: true,
    requestType: Raw,
    responseType: Raw,
  };
  return new ReadableStream({
    start(controller) {
      grpc.invoke(method, {
        host: url,
        request: new Raw(request),
        onMessage: ({ bytes }) => controller.enqueue(bytes),
        onEnd(code, message) {
          if (code === grpc.Code.OK) controller.close();
          else controller.error(new Error(`${grpc.Code[code]}: ${message}`));
        },
      });
    },
  });
}

/** connect-es 1 reads messages by the contract's descriptors, which the page has from the test. */
function connectEs1(open) {
  return async function* (url, request) {
    const service = createRegistryFromDescriptors(globalThis.contract).findService(serviceName);
    const client = createPromiseClient(service, open(url));
    try {
      const { I } = service.methods.streamAudio;
      for await (const message of client.streamAudio(I.fromBinary(request))) {
        yield message.toBinary();
      }
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      throw new Error(`${Code[code]}: ${rawMessage}`);
    }
  };
}

globalThis.foreignTurns = {
  "nice-grpc-web": niceGrpcWeb,
  "@improbable-eng/grpc-web": improbable,
  "connect-web 1, gRPC-Web": connectEs1((baseUrl) => createGrpcWebTransport({ baseUrl })),
  "connect-web 1, Connect": connectEs1((baseUrl) => createConnectTransport({ baseUrl })),
};
