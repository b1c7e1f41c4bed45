import { constants, Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import {
  create,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createHandlerContext,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { createEnvelope, isComplete, PREFIX_BYTES, splitEnvelopes } from "./envelopes.ts";
import type { RpcRequest } from "./request-body.ts";

/**
 * Answers a request, which is prepared as for the adapter. Returns false, and touches nothing, if the
 * adapter must answer it.
 */
export type UnaryWire = (
  request: RpcRequest,
  response: unknown,
  contextValues: () => ContextValues,
) => boolean;

type UnaryMethod = {
  readonly method: DescMethodUnary;
  readonly call: (
    message: Message,
    context: HandlerContext,
  ) => Promise<MessageInitShape<DescMethodUnary["output"]>>;
};

const binaryTypes = new Set(["application/grpc", "application/grpc+proto"]);

/**
 * Creates the direct way for unary calls in gRPC's binary form over HTTP/2: one message in, one
 * message and its trailers out. It answers as connect-node does, which costs a call of the local agent
 * twice as much as all the rest. Every other request stays with connect-node.
 */
export function createUnaryWire<Service extends DescService>(
  service: Service,
  implementation: ServiceImpl<Service>,
): UnaryWire {
  const methods = new Map(
    service.methods
      .filter(({ methodKind }) => methodKind === "unary")
      .map((method) => {
        const call = implementation[method.localName as keyof ServiceImpl<Service>];
        return [`/${service.typeName}/${method.name}`, { method, call } as unknown as UnaryMethod];
      }),
  );
  return (request, response, contextValues) => {
    const served = methods.get(request.url ?? "");
    if (!served || !(request instanceof Http2ServerRequest)) return false;
    const { headers } = request;
    const isPlain = binaryTypes.has(headers["content-type"] ?? "");
    if (!isPlain || "grpc-encoding" in headers) return false;
    void answer({ request, response: response as Http2ServerResponse, served, contextValues });
    return true;
  };
}

/** The reason of a call's signal when it has its answer. The platform's own would cost a stack trace. */
const answered = new ConnectError("the call has its answer", Code.Canceled);

type Exchange = {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly served: UnaryMethod;
  readonly contextValues: () => ContextValues;
};

async function answer({ request, response, served, contextValues }: Exchange): Promise<void> {
  const { method, call } = served;
  const timeout = parseTimeout(timeoutHeader(request), Number.MAX_SAFE_INTEGER);
  const context = createHandlerContext({
    service: method.parent,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: request.url,
    ...(timeout.timeoutMs !== undefined && { timeoutMs: timeout.timeoutMs }),
    contextValues: contextValues(),
  });
  response.once("close", () => context.abort(clientLeft(request)));
  const trailers = new Headers();
  let envelope: Uint8Array | undefined;
  try {
    if (timeout.error) throw timeout.error;
    const message = fromBinary(method.input, await readMessage(request), {
      readUnknownFields: false,
    });
    const output = create(method.output, await call(message, context));
    envelope = createEnvelope(0, toBinary(method.output, output));
    setTrailerStatus(trailers, undefined);
  } catch (error) {
    context.abort(error);
    const status = error instanceof ConnectError ? error : internalError(error);
    setTrailerStatus(trailers, status);
  }
  context.abort(answered);
  if (response.destroyed || response.stream?.destroyed) return;
  response.setHeader("content-type", "application/grpc+proto");
  response.addTrailers(Object.fromEntries(trailers));
  if (envelope) {
    response.end(envelope);
    return;
  }
  // Without it, Node would end the stream with the header, and send no trailers.
  response.writeHead(200);
  response.end();
}

function timeoutHeader({ headers }: Http2ServerRequest): string | null {
  const value = headers["grpc-timeout"];
  return value === undefined ? null : String(value);
}

function internalError(cause: unknown): ConnectError {
  return new ConnectError("internal error", Code.Internal, undefined, undefined, cause);
}

function clientLeft({ stream }: Http2ServerRequest): ConnectError | undefined {
  if (stream.rstCode === constants.NGHTTP2_NO_ERROR) return undefined;
  return new ConnectError("the client left", Code.Canceled);
}

/** The one message of a body. Its errors are connect's. */
async function readMessage(request: Http2ServerRequest): Promise<Uint8Array> {
  let message: Uint8Array | undefined;
  for await (const bytes of request as AsyncIterable<Uint8Array>) {
    for (const envelope of splitEnvelopes(bytes)) {
      if (!isComplete(envelope)) {
        throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
      }
      if (message) {
        const rule = "received extra input message for unary method";
        throw new ConnectError(`protocol error: ${rule}`, Code.Unimplemented);
      }
      message = envelope.subarray(PREFIX_BYTES);
    }
  }
  if (message) return message;
  const rule = "missing input message for unary method";
  throw new ConnectError(`protocol error: ${rule}`, Code.Unimplemented);
}
