import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressOf, createClientAddress, createProxyRule } from "./addresses.ts";

const from = (remoteAddress: string | undefined, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: { "x-forwarded-for": forwarded },
  }) as unknown as IncomingMessage;

const clientOf = createClientAddress(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

describe("createClientAddress", () => {
  it.each([
    ["the peer without a header", "192.0.2.1", undefined, "192.0.2.1"],
    ["the peer that is no proxy, whatever it claims", "192.0.2.1", "203.0.113.9", "192.0.2.1"],
    ["the client that a proxy names", "127.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["a proxy that is reached over IPv6", "::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["the last hop of several", "127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"],
    ["the last hop before other proxies", "127.0.0.1", "203.0.113.9, 10.1.2.3", "203.0.113.9"],
    ["the farthest of proxies alone", "127.0.0.1", "10.1.2.3", "10.1.2.3"],
    ["a proxy that names nobody readable", "127.0.0.1", "203.0.113.9, unknown", "127.0.0.1"],
    ["a proxy whose header is empty", "127.0.0.1", "", "127.0.0.1"],
    ["a client over IPv6", "fd00::1", "2001:db8::1", "2001:db8::1"],
    ["a client with brackets and port", "fd00::1", "[2001:db8::1]:443", "2001:db8::1"],
    ["a client with a port", "127.0.0.1", "203.0.113.9:51000", "203.0.113.9"],
    ["nobody on a closed connection", undefined, "203.0.113.9", ""],
  ])("counts %s", (_, peer, forwarded, client) => {
    expect(clientOf(from(peer, forwarded))).toBe(client);
  });

  it.each([
    ["the client that a proxy names", "for=203.0.113.9;proto=https", "203.0.113.9"],
    ["one over IPv6 with a port", 'proto=https; For="[2001:db8::1]:4711"', "2001:db8::1"],
    [
      "the last hop before other proxies",
      "for=1.1.1.1, for=203.0.113.9,for=10.1.2.3",
      "203.0.113.9",
    ],
    ["a proxy that hides its client", "for=203.0.113.9, for=_hidden", "127.0.0.1"],
    ["a proxy that names nobody", "by=203.0.113.9", "127.0.0.1"],
  ])("counts %s in Forwarded", (_, forwarded, client) => {
    const request = { socket: { remoteAddress: "127.0.0.1" }, headers: { forwarded } };
    expect(clientOf(request as unknown as IncomingMessage)).toBe(client);
  });

  it("prefers X-Forwarded-For to Forwarded, which a client may send through a proxy", () => {
    const request = from("127.0.0.1", "203.0.113.9");
    request.headers.forwarded = "for=198.51.100.1";
    expect(clientOf(request)).toBe("203.0.113.9");
  });

  it("finds an address in whatever a proxy sends, and never throws", () => {
    const words = fc.constantFrom("for=", "203.0.113.9", '"[2001:db8::1]:1"', ",", ";", "x", " ");
    const headers = fc
      .array(fc.oneof(words, fc.string({ maxLength: 8 })))
      .map((all) => all.join(""));
    fc.assert(
      fc.property(headers, fc.boolean(), (text, isForwarded) => {
        const name = isForwarded ? "forwarded" : "x-forwarded-for";
        const request = { socket: { remoteAddress: "127.0.0.1" }, headers: { [name]: text } };
        expect(isIP(clientOf(request as unknown as IncomingMessage))).toBeGreaterThan(0);
      }),
    );
  });

  it("believes no header where no proxy is trusted", () => {
    expect(createClientAddress([])(from("127.0.0.1", "203.0.113.9"))).toBe("127.0.0.1");
  });
});

describe("createProxyRule", () => {
  it("knows the trusted addresses and networks, over IPv6 too, and no others", () => {
    const isProxy = createProxyRule(["127.0.0.1", "10.0.0.0/8"]);
    expect(["127.0.0.1", "::ffff:10.9.8.7", "192.0.2.1", ""].map(isProxy)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});

describe("addressOf", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:10.0.0.7", "10.0.0.7"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::5", "2001:db8:0:0::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    [undefined, ""],
  ])("counts %s as %s", (remoteAddress, expected) => {
    expect(addressOf({ remoteAddress })).toBe(expected);
  });
});
