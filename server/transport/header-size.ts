import type { PortRequest, Problem } from "./request.ts";

/**
 * What is wrong with the size of a request's header; undefined if nothing is. Node's HTTP/1.1 sees
 * to it by itself. Its HTTP/2 only tells clients the limit, and takes many times more.
 */
export function findHeaderProblem(request: PortRequest, maxBytes: number): Problem | undefined {
  let bytes = 0;
  for (const text of request.rawHeaders) bytes += text.length;
  if (bytes <= maxBytes) return undefined;
  const message = `the header is larger than ${maxBytes} bytes`;
  return { status: 431, code: "resource_exhausted", message };
}
