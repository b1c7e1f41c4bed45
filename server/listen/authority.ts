import { isHttp1, type PortRequest, type Problem } from "./exchange.ts";

// A host with an optional port. Whatever else a URL may hold has no place in it.
const authorityShape = /^[^\s/?#@\\]+$/;

/**
 * What is wrong with a request's authority (`Host`, `:authority`) or target; undefined if nothing
 * is. What passes can be made a URL of: the RPC adapter does that outside any catch, and what it
 * throws there would end the process.
 */
export function findTargetProblem(request: PortRequest): Problem | undefined {
  const authority = isHttp1(request) ? request.headers.host : request.authority;
  if (authority === undefined) return invalid("the request names no host");
  if (!authorityShape.test(authority)) return invalid("the host is malformed");
  const base = `http://${authority}`;
  if (!URL.canParse(base)) return invalid("the host is malformed");
  if (!URL.canParse(request.url ?? "", base)) return invalid("the request target is malformed");
  return undefined;
}

function invalid(message: string): Problem {
  return { status: 400, code: "invalid_argument", message };
}
