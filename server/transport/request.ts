import { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request as Node's HTTP/1.1 server or the compatibility layer of its HTTP/2 server gives it. */
export type PortRequest = IncomingMessage | Http2ServerRequest;

/** The response that belongs to a `PortRequest`. */
export type PortResponse = ServerResponse | Http2ServerResponse;

/** Answers one request. What it throws, or rejects with, is answered with a 500. */
export type Handle = (request: PortRequest, response: PortResponse) => void;

/** Whether the request came over HTTP/1.0 or 1.1. */
export function isHttp1(request: PortRequest): request is IncomingMessage {
  return request instanceof IncomingMessage;
}

/** Whether the response goes out over HTTP/1.0 or 1.1. */
export function isHttp1Response(response: PortResponse): response is ServerResponse {
  return response instanceof ServerResponse;
}

/** What is wrong, in the words of the protocol: `invalid_argument`, and a message for a person. */
export type Problem = {
  /** The HTTP status. */
  readonly status: number;
  readonly code: string;
  readonly message: string;
};

/**
 * Answers with `{"error":{"code":…,"message":…}}`. HTTP/1 connections are closed after it, because
 * what follows on them cannot be trusted. Does nothing but end the response if its headers are out.
 */
export function answerProblem(response: PortResponse, problem: Problem): void {
  if (response.headersSent || response.writableEnded) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ error: { code: problem.code, message: problem.message } });
  response.statusCode = problem.status;
  response.setHeader("content-type", "application/json; charset=utf-8");
  response.setHeader("content-length", Buffer.byteLength(body));
  if (isHttp1Response(response)) {
    response.setHeader("connection", "close");
    response.end(body);
  } else {
    response.end(body);
  }
}
