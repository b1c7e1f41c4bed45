// @improbable-eng/grpc-web, which takes whatever looks like a generated class.
import improbableGrpcWeb from "@improbable-eng/grpc-web";
import { NodeHttpTransport } from "@improbable-eng/grpc-web-node-http-transport";

const { grpc } = improbableGrpcWeb;
const serviceName = "streaming.StreamingService";

/** A message as generated code would have it, as far as the library looks at it. */
class Raw {
  constructor(bytes) {
    this.bytes = bytes;
  }
  serializeBinary() {
    return this.bytes;
  }
  toObject() {
    return {};
  }
  static deserializeBinary(bytes) {
    return new Raw(bytes);
  }
}

class Failure extends Error {
  constructor(code, message, reason) {
    super(message);
    this.status = { code, message, reason };
  }
}

export function open(url) {
  return ({ name, streams, request }, signal) =>
    new ReadableStream({
      start(controller) {
        const call = grpc.invoke(methodOf(name, streams), {
          host: url,
          request: new Raw(request),
          transport: NodeHttpTransport(),
          onMessage: ({ bytes }) => controller.enqueue(bytes),
          onEnd(code, message, trailers) {
            if (code === grpc.Code.OK) controller.close();
            else controller.error(new Failure(code, message, trailers.get("parley-reason")[0]));
          },
        });
        // After close() the library is silent.
        signal.addEventListener("abort", () => {
          call.close();
          controller.error(new Failure(grpc.Code.Canceled, "closed"));
        });
      },
    });
}

const methodOf = (methodName, responseStream) => ({
  methodName,
  service: { serviceName },
  requestStream: false,
  responseStream,
  requestType: Raw,
  responseType: Raw,
});

export function failureOf(error) {
  return error.status ?? { code: grpc.Code.Unknown, message: String(error) };
}
