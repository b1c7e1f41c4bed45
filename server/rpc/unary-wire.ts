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
  createContextKey,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { CallFlow } from "../agent/unary-call.ts";
import { createEnvelope, isComplete, PREFIX_BYTES } from "../core/envelope.ts";
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

/** What a service may know of a call, whichever way it came. */
export type CallContext = Pick<HandlerContext, "signal" | "timeoutMs" | "values">;

/** A service that asks for no more than a `CallContext`, so that either way can call it. */
export type EitherWay<Service extends DescService> = {
  [Name in keyof ServiceImpl<Service>]: ServiceImpl<Service>[Name] extends (
    message: infer Input,
    context: HandlerContext,
  ) => infer Output
    ? (message: Input, context: CallContext) => Output
    : never;
};

/** Where the context of a call past connect-node holds its flow, for the call that is made of it. */
export const callFlowKey = createContextKey<CallFlow | undefined>(undefined, {
  description: "call flow",
});

type UnaryMethod = {
  readonly method: DescMethodUnary;
  readonly call: (
    message: Message,
    context: CallContext,
  ) => Promise<MessageInitShape<DescMethodUnary["output"]>>;
};

const binaryTypes = new Set(["application/grpc", "application/grpc+proto"]);

/**
 * Creates the direct way for unary calls in gRPC's binary form over HTTP/2: one message in, one
 * message and its trailers out. It answers as connect-node does, which costs a call of the local agent
 * twice as much as all the rest. Every other request stays with connect-node.
 *
 * It waits for nothing that it need not wait for: the service is called as soon as the message is there,
 * and the message of its answer leaves before the status is known. So the gateway works while both of
 * its neighbours do.
 */
export function createUnaryWire<Service extends DescService>(
  service: Service,
  implementation: EitherWay<Service>,
): UnaryWire {
  const methods = new Map(
    service.methods
      .filter(({ methodKind }) => methodKind === "unary")
      .map((method) => {
        const call = implementation[method.localName as keyof EitherWay<Service>];
        return [`/${service.typeName}/${method.name}`, { method, call } as unknown as UnaryMethod];
      }),
  );
  return (request, response, contextValues) => {
    const served = methods.get(request.url ?? "");
    if (!served || !(request instanceof Http2ServerRequest)) return false;
    const { headers } = request;
    const isPlain = binaryTypes.has(headers["content-type"] ?? "");
    if (!isPlain || "grpc-encoding" in headers) return false;
    void answer(request, response as Http2ServerResponse, { served, values: contextValues() });
    return true;
  };
}

type Served = { readonly served: UnaryMethod; readonly values: ContextValues };

async function answer(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  { served: { method, call }, values }: Served,
): Promise<void> {
  const timeout = parseTimeout(timeoutHeader(request), Number.MAX_SAFE_INTEGER);
  const ending = openEnding(request, response, timeout.timeoutMs);
  const reply = openReply(response, method);
  const body = request[Symbol.asyncIterator]() as AsyncGenerator<Uint8Array>;
  let failure: unknown;
  try {
    if (timeout.error) throw timeout.error;
    const message = fromBinary(method.input, await readMessage(body), {
      readUnknownFields: false,
    });
    const requestEnd = followEnd(body, { onEnd: reply.open, onError: ending.abort });
    values.set(callFlowKey, { requestEnd: requestEnd.reached, onAnswer: reply.send });
    const called = call(message, { ...ending, values });
    await called.catch(() => undefined);
    // What is wrong with the body is told, whatever became of the call.
    if (requestEnd.hasFailed() || !ending.signal.aborted) await requestEnd.reached;
    reply.send(create(method.output, await called));
  } catch (error) {
    failure = error;
    void body.return(undefined);
  }
  ending.abort(failure ?? answered);
  reply.end(failure);
}

/** The reason of a call's signal when it has its answer. The platform's own would cost a stack trace. */
const answered = new ConnectError("the call has its answer", Code.Canceled);

/** What ends a call: its deadline, its client, or its answer. connect-node's own costs four times as much. */
function openEnding(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  timeoutMs: number | undefined,
) {
  const controller = new AbortController();
  const { signal } = controller;
  const endMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  const expire = () => abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
  let timer: NodeJS.Timeout | undefined;
  const abort = (reason: unknown) => {
    clearTimeout(timer);
    if (!signal.aborted) controller.abort(reason);
  };
  if (timeoutMs !== undefined && timeoutMs > 0) timer = setTimeout(expire, timeoutMs);
  else if (timeoutMs !== undefined) expire();
  response.once("close", () => {
    if (!signal.aborted) abort(clientLeft(request));
  });
  return {
    signal,
    abort,
    timeoutMs: () => (endMs === undefined ? undefined : endMs - Date.now()),
  };
}

/** The answer of a call: at most one message, then the trailers. */
function openReply(response: Http2ServerResponse, { output }: DescMethodUnary) {
  let isOpen = false;
  let isSent = false;
  const isGone = () => response.destroyed || (response.stream?.destroyed ?? true);
  return {
    /** The request is complete: a message may leave from now on. */
    open() {
      isOpen = true;
    },
    send(message: object) {
      if (!isOpen || isSent || isGone()) return;
      isSent = true;
      response.setHeader("content-type", "application/grpc+proto");
      response.write(createEnvelope(0, toBinary(output, message as Message)));
    },
    end(failure: unknown) {
      if (isGone()) return;
      response.addTrailers(failure === undefined ? success : statusOf(failure));
      if (!isSent) {
        response.setHeader("content-type", "application/grpc+proto");
        // Without it, Node would end the stream with the header, and send no trailers.
        response.writeHead(200);
      }
      response.end();
    },
  };
}

const success = { "grpc-status": "0" };

function statusOf(failure: unknown): Readonly<Record<string, string>> {
  const error = failure instanceof ConnectError ? failure : internalError(failure);
  return Object.fromEntries(setTrailerStatus(new Headers(), error));
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

/** The first message of a body that comes in whole envelopes. Its errors are connect's. */
async function readMessage(body: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  const { done, value } = await body.next();
  if (!done) return requireComplete(value).subarray(PREFIX_BYTES);
  const rule = "missing input message for unary method";
  throw new ConnectError(`protocol error: ${rule}`, Code.Unimplemented);
}

/** What happens at the end of a body, or when something is wrong with the rest of it. */
type EndListeners = { onEnd(): void; onError(error: unknown): void };

/** Reads on, to the end of a body. `reached` rejects if another message comes before it. */
function followEnd(body: AsyncGenerator<Uint8Array>, { onEnd, onError }: EndListeners) {
  let hasFailed = false;
  const reached = body.next().then(({ done, value }) => {
    if (done) return;
    requireComplete(value);
    const rule = "received extra input message for unary method";
    throw new ConnectError(`protocol error: ${rule}`, Code.Unimplemented);
  });
  reached.then(onEnd, (error) => {
    hasFailed = true;
    onError(error);
  });
  return { reached, hasFailed: () => hasFailed };
}

function requireComplete(envelope: Uint8Array): Uint8Array {
  if (isComplete(envelope)) return envelope;
  throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}
