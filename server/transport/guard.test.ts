import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findTargetProblem } from "./guard.ts";

function request(host: string | undefined, url: string): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  if (host !== undefined) message.headers.host = host;
  message.url = url;
  return message;
}

const hosts = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom("a", "1", ".", ":", "[", "]", "%", "@", "/", "?", "#", " ") }),
);
const urls = fc.oneof(
  fc.string(),
  fc.webPath(),
  fc.webUrl(),
  fc.constantFrom("*", "//", "http://["),
);

describe("findTargetProblem", () => {
  it("finds nothing only where the RPC adapter can make a URL", () => {
    fc.assert(
      fc.property(hosts, urls, (host, url) => {
        if (findTargetProblem(request(host, url))) return;
        expect(() => new URL(url, `http://${host}`)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    "localhost",
    "localhost:8080",
    "127.0.0.1:1",
    "[::1]:50051",
    "a.example",
    "xn--e1afmkfd.example",
  ])("finds nothing wrong with the host %j", (host) => {
    expect(
      findTargetProblem(request(host, "/streaming.StreamingService/StreamAudio?a=b")),
    ).toBeUndefined();
  });

  it.each(["", "[", "a:99999", "a b", "user@a", "a/b", "a?b", "a#b", "%", "a\\b", "[::1"])(
    "finds the host %j malformed",
    (host) => {
      expect(findTargetProblem(request(host, "/"))?.message).toBe("the host is malformed");
    },
  );

  it.each(["//", "http://[", "http://a:99999/", "//["])("finds the target %j malformed", (url) => {
    expect(findTargetProblem(request("a", url))?.message).toBe("the request target is malformed");
  });

  it.each(["/", "*", "/%", "http://other/path", ""])(
    "finds nothing wrong with the target %j",
    (url) => {
      expect(findTargetProblem(request("a", url))).toBeUndefined();
    },
  );

  it("asks for a host", () => {
    expect(findTargetProblem(request(undefined, "/"))).toEqual({
      status: 400,
      code: "invalid_argument",
      message: "the request names no host",
    });
  });
});
