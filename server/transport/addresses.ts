import { BlockList, isIP, isIPv4, type Socket } from "node:net";
import type { PortRequest } from "./in-flight-requests.ts";

/**
 * Creates the function that finds a request's client address: the peer's, or, if the peer is a
 * trusted proxy, the last hop that is not one, of `X-Forwarded-For`, or of `Forwarded` (RFC 7239) where
 * the first is absent. `trusted` holds addresses and networks ("10.0.0.0/8"). An unreadable hop ends the
 * search: the proxy that sent it counts as the client. Returns "" for a closed connection.
 */
export function createClientAddress(trusted: readonly string[]): (request: PortRequest) => string {
  const isProxy = createProxyRule(trusted);
  return (request) => {
    let client = plainAddress(request.socket.remoteAddress ?? "");
    const { headers } = request;
    if (!("x-forwarded-for" in headers || "forwarded" in headers)) return client;
    for (const hop of forwardedHops(request)) {
      if (!isProxy(client) || isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** Creates the function that checks whether an address is a trusted proxy. */
export function createProxyRule(trusted: readonly string[]): (address: string) => boolean {
  const proxies = toBlockList(trusted);
  return (address) => {
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && proxies.check(plain, isIPv4(plain) ? "ipv4" : "ipv6");
  };
}

/** A request's hops, the nearest first: each proxy appends the address that it saw. */
function forwardedHops({ headers }: PortRequest): readonly string[] {
  const hops = itemsOf(headers["x-forwarded-for"]);
  const all = hops.length > 0 ? hops : itemsOf(headers.forwarded).map(forOf);
  return all.map(plainAddress).reverse();
}

function itemsOf(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === "string" ? header : (header ?? []).join(",");
  return text === "" ? [] : text.split(",").map((item) => item.trim());
}

/** The address of an element such as `for="[2001:db8::1]:4711";proto=https`. "" if it names none. */
function forOf(element: string): string {
  const [, quoted, plain] = /(?:^|;)\s*for=(?:"([^"]*)"|([^\s;"]*))/i.exec(element) ?? [];
  return quoted ?? plain ?? "";
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

/** Unwraps IPv4 in IPv6, and drops the brackets and port that some proxies add. */
function plainAddress(text: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text) ?? [];
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? [];
  const [, ported] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? [];
  return mapped ?? bracketed ?? ported ?? text;
}

/**
 * A connection's address as limits count it: the first 64 bits of IPv6, which one subscriber has,
 * and IPv4 in IPv6 as IPv4.
 */
export function addressOf({ remoteAddress = "" }: Pick<Socket, "remoteAddress">): string {
  const address = remoteAddress.replace(/^::ffff:(?=[\d.]+$)/i, "");
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail ? tail.split(":") : [];
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => "0");
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(":")}::/64`;
}
