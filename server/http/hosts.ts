import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { isIP } from "node:net";
import type { Refusal } from "./refusal.ts";

/** By which names a gateway may be called. */
export type HostOptions = {
  /** Lower-case names, `voice.example`, or with a port, `voice.example:8080`. */
  readonly allowedHosts: readonly string[];
  /** Whether names that are not listed are served too. */
  readonly servesAnyHost: boolean;
};

type Request = IncomingMessage | Http2ServerRequest;

/**
 * Makes the rule for the name by which a request calls the gateway. Addresses, names of loopback and
 * allowed hosts are served. Another name may be an attacker's that was made to point to this machine
 * (DNS rebinding): to the browser its page and the gateway would be of one origin. Answers a refusal,
 * or undefined.
 */
export function createHostRule(options: HostOptions): (request: Request) => Refusal | undefined {
  const allowed = new Set(options.allowedHosts);
  const serves = ({ hostname, port }: URL) => {
    const name = hostname.replace(/\.$/, "");
    return (
      isAddress(name) ||
      isLoopbackName(name) ||
      allowed.has(name) ||
      allowed.has(`${name}:${port || 80}`)
    );
  };
  return (request) => {
    if (options.servesAnyHost) return undefined;
    const refused = calledUrls(request).find((url) => !serves(url));
    if (!refused) return undefined;
    return {
      message: `the host ${refused.hostname} is not served here; ALLOWED_HOSTS can name it`,
    };
  };
}

/** A target with a host of its own (`GET http://name/`) counts as well: routes see that one. */
function calledUrls(request: Request): readonly URL[] {
  const base = new URL(`http://${authorityOf(request)}`);
  const target = new URL(request.url ?? "", base);
  return target.host === base.host ? [base] : [base, target];
}

/** `:authority` or `Host`. The port in front of this room has checked that it makes a URL. */
export function authorityOf(request: Request): string {
  const authority = "authority" in request ? request.authority : request.headers.host;
  return authority ?? "";
}

function isAddress(name: string): boolean {
  return isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

/** Whatever ends in `.localhost` is loopback by RFC 6761; nobody can register such a name. */
function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}
