import { constants } from "node:http2";
import {
  type Handle,
  isHttp1,
  isHttp1Response,
  type PortRequest,
  type PortResponse,
} from "./in-flight-requests.ts";

/** Why a request is refused before a handler sees it. */
export type Problem = {
  /** The HTTP status. */
  readonly status: number;
  /** Connect's name of the code: `invalid_argument`. */
  readonly code: string;
  readonly message: string;
};

const internalProblem: Problem = {
  status: 500,
  code: "internal",
  message: "the request could not be answered",
};

/** What a guard checks and reports. */
export type GuardOptions = {
  readonly maxHeaderBytes: number;
  /** Called with what the handler throws. */
  readonly onError: (error: unknown) => void;
};

/**
 * Wraps a handler: refuses requests with a bad host, target or header, answers 500 if the handler
 * throws, and cuts off bodies that go on after the response.
 */
export function guard(handle: Handle, options: GuardOptions): Handle {
  return async (request, response) => {
    cutOffUnreadBody(request, response);
    const problem = findHeaderProblem(request, options) ?? findTargetProblem(request);
    if (problem) {
      answerProblem(response, problem);
      return;
    }
    try {
      await handle(request, response);
    } catch (error) {
      options.onError(error);
      answerProblem(response, internalProblem);
    }
  };
}

/** Node checks the header's size for HTTP/1.1. For HTTP/2 it accepts many times the limit it announces. */
function findHeaderProblem(
  { rawHeaders }: PortRequest,
  { maxHeaderBytes }: GuardOptions,
): Problem | undefined {
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  if (bytes <= maxHeaderBytes) return undefined;
  const message = `the header is larger than ${maxHeaderBytes} bytes`;
  return { status: 431, code: "resource_exhausted", message };
}

// A host and an optional port, without the characters that end an authority in a URL.
const authorityPattern = /^[^\s/?#@\\]+$/;

// The paths of RPCs. Behind any valid authority they make a valid URL.
const plainPath = /^(\/[\w.-]+)+$/;

/**
 * The problem with a request's authority (`Host`, `:authority`) or target, if any. Without one, they
 * make a valid URL: the RPC adapter builds it outside any `try`, so an error would end the process.
 */
export function findTargetProblem(request: PortRequest): Problem | undefined {
  if (hasTwoHosts(request)) return invalid("the request names more than one host");
  const authority = isHttp1(request) ? request.headers.host : request.authority;
  if (authority === undefined) return invalid("the request names no host");
  if (!isAuthority(authority)) return invalid("the host is malformed");
  const { url = "" } = request;
  if (plainPath.test(url) || URL.canParse(url, `http://${authority}`)) return undefined;
  return invalid("the request target is malformed");
}

/** The last valid authority: most requests of a gateway name the same one. */
let knownAuthority: string | undefined;

function isAuthority(authority: string): boolean {
  if (authority === knownAuthority) return true;
  if (!authorityPattern.test(authority) || !URL.canParse(`http://${authority}`)) return false;
  knownAuthority = authority;
  return true;
}

/** Node takes the first of two hosts; a proxy may take the second. HTTP/2 may send one host twice. */
function hasTwoHosts({ rawHeaders }: PortRequest): boolean {
  let authority: string | undefined;
  let host: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase();
    if (name === ":authority") authority = rawHeaders[at + 1];
    if (name !== "host") continue;
    if (host !== undefined) return true;
    host = rawHeaders[at + 1];
  }
  return authority !== undefined && host !== undefined && authority !== host;
}

function invalid(message: string): Problem {
  return { status: 400, code: "invalid_argument", message };
}

/**
 * Answers with `{"error":{"code":…,"message":…}}`. Closes an HTTP/1 connection, because the bytes
 * that follow cannot be trusted. Destroys the response if its headers are out.
 */
function answerProblem(response: PortResponse, { status, code, message }: Problem): void {
  if (response.headersSent || response.writableEnded) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ error: { code, message } });
  response.statusCode = status;
  response.setHeader("content-type", "application/json; charset=utf-8");
  response.setHeader("content-length", Buffer.byteLength(body));
  if (isHttp1Response(response)) {
    response.setHeader("connection", "close");
    response.end(body);
  } else {
    response.end(body);
  }
}

const MAX_UNREAD_BYTES = 1024 * 1024;

/**
 * Reads and drops up to 1 MiB of a body after its request was answered, then cuts it off. To close
 * at once could lose the answer for an HTTP/1.1 client.
 */
function cutOffUnreadBody(request: PortRequest, response: PortResponse): void {
  // Before Node's own listener, which would drop the body without counting it. Over HTTP/2 a response
  // without a body finishes only when its request does, but its stream finishes at once.
  const answered = isHttp1Response(response) ? response : response.stream;
  answered.prependListener("finish", () => {
    if (request.readableEnded || request.destroyed) return;
    let droppedBytes = 0;
    request.on("data", (bytes: Uint8Array) => {
      droppedBytes += bytes.length;
      if (droppedBytes > MAX_UNREAD_BYTES) cutOffBody(request);
    });
    request.resume();
    // Shows Node that the body has a reader.
    request.read(0);
  });
}

function cutOffBody(request: PortRequest): void {
  if (isHttp1(request)) request.socket.destroy();
  else request.stream.close(constants.NGHTTP2_NO_ERROR);
}
