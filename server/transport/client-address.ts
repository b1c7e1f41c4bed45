import { BlockList, isIP, isIPv4 } from "node:net";
import type { PortRequest } from "./request.ts";

/**
 * Makes the function that tells from which address a request comes: the peer's, or, where the peer
 * is one of the trusted proxies, the last hop of `X-Forwarded-For` that is not. `trusted` holds
 * addresses and networks ("10.0.0.0/8"). An unreadable hop ends the search: the proxy that passed
 * it on counts then. "" for a connection that is closed already.
 */
export function createClientAddress(trusted: readonly string[]): (request: PortRequest) => string {
  const isProxy = createProxyRule(trusted);
  return (request) => {
    const peer = plainAddress(request.socket.remoteAddress ?? "");
    let client = peer;
    for (const hop of forwardedHops(request)) {
      if (!isProxy(client) || isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** Makes the function that tells whether an address is one of the trusted proxies. */
export function createProxyRule(trusted: readonly string[]): (address: string) => boolean {
  const proxies = toBlockList(trusted);
  return (address) => {
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && proxies.check(plain, isIPv4(plain) ? "ipv4" : "ipv6");
  };
}

/** The hops of a request, the nearest first: each proxy appends the address that it saw. */
function forwardedHops(request: PortRequest): readonly string[] {
  const header = request.headers["x-forwarded-for"];
  const text = Array.isArray(header) ? header.join(",") : (header ?? "");
  return text
    .split(",")
    .map((hop) => plainAddress(hop.trim()))
    .reverse();
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** An IPv4 address as such where it comes as IPv6, and without the brackets or port of some proxies. */
function plainAddress(text: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text) ?? [];
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? [];
  const [, ported] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? [];
  return mapped ?? bracketed ?? ported ?? text;
}
