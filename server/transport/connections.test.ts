import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addressOf,
  createClientAddress,
  createProxyRule,
  createRateByAddress,
  protocolOf,
} from "./connections.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("protocolOf", () => {
  it("tells HTTP/2 by the whole preface, whatever follows it", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (rest) => {
        expect(protocolOf(Buffer.concat([preface, rest]))).toBe("h2");
      }),
    );
  });

  it("does not tell while the bytes may still become a preface", () => {
    for (let length = 0; length < preface.length; length++) {
      expect(protocolOf(preface.subarray(0, length))).toBeUndefined();
    }
  });

  it("tells HTTP/1.1 by the first byte that differs from the preface", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: preface.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, by) => {
          const bytes = Buffer.from(preface.subarray(0, at + 1));
          bytes[at] = (preface[at] ?? 0) ^ by;
          expect(protocolOf(bytes)).toBe("http1");
        },
      ),
    );
  });

  it.each(["GET / HTTP/1.1", "POST / HTTP/1.1", "PROPFIND / HTTP/1.1", "\x16\x03\x01"])(
    "takes %j for HTTP/1.1",
    (bytes) => {
      expect(protocolOf(Buffer.from(bytes, "latin1"))).toBe("http1");
    },
  );
});

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

describe("createRateByAddress", () => {
  it("allows a burst at once, and its rate in the long run", () => {
    let nowMs = 0;
    const rate = createRateByAddress({ burst: 3, perSecond: 2 }, () => nowMs);
    const taken = () => Array.from({ length: 5 }, () => rate.take("a")).filter(Boolean).length;
    expect(taken()).toBe(3);
    nowMs += 1000;
    expect(taken()).toBe(2);
    nowMs += 100;
    expect(taken()).toBe(0);
    nowMs += 60_000;
    expect(taken()).toBe(3);
  });

  it("counts each address by itself", () => {
    const rate = createRateByAddress({ burst: 1, perSecond: 0 }, () => 0);
    expect(["a", "b", "a"].map(rate.take)).toEqual([true, true, false]);
  });

  it("forgets only whom it has not seen for longest", () => {
    const rate = createRateByAddress({ burst: 2, perSecond: 0 }, () => 0);
    rate.take("old");
    rate.take("seen");
    for (let other = 0; other < 9998; other++) rate.take(`other-${other}`);
    rate.take("seen");
    rate.take("one more");
    expect(rate.take("seen")).toBe(false);
    expect([rate.take("old"), rate.take("old"), rate.take("old")]).toEqual([true, true, false]);
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
