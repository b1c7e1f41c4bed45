import { isHttp1, type PortRequest, type Problem } from "./request.ts";

// A host with an optional port. Whatever else a URL may hold has no place in it.
const authorityShape = /^[^\s/?#@\\]+$/;

/**
 * What is wrong with a request's authority (`Host`, `:authority`) or target; undefined if nothing
 * is. What passes can be made a URL of: the RPC adapter does that outside any catch, and what it
 * throws there would end the process.
 */
export function findTargetProblem(request: PortRequest): Problem | undefined {
  if (namesTwoHosts(request)) return invalid("the request names more than one host");
  const authority = isHttp1(request) ? request.headers.host : request.authority;
  if (authority === undefined) return invalid("the request names no host");
  if (!authorityShape.test(authority)) return invalid("the host is malformed");
  const base = `http://${authority}`;
  if (!URL.canParse(base)) return invalid("the host is malformed");
  if (!URL.canParse(request.url ?? "", base)) return invalid("the request target is malformed");
  return undefined;
}

/** Of two hosts, Node keeps the first and a proxy may keep the second. HTTP/2 may say the same twice. */
function namesTwoHosts({ rawHeaders }: PortRequest): boolean {
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
