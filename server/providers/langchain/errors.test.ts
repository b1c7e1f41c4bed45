import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { langchainError } from "./errors.ts";

/** An error as the SDKs throw it: fields, and a message that must not be repeated. */
const thrown = (fields: object) => Object.assign(new Error("key sk-1 said: hello"), fields);
const kindOf = (error: unknown, withImage = false) => langchainError(error, { withImage }).kind;

describe("langchainError", () => {
  it.each([
    [400, "refused"],
    [401, "authentication"],
    [402, "quota"],
    [403, "authorization"],
    [404, "authorization"],
    [408, "timeout"],
    [413, "unsupported"],
    [422, "refused"],
    [429, "rate_limit"],
    [500, "server"],
    [503, "server"],
    [529, "server"],
  ])("reads the status %i as %s, from either SDK", (status, fault) => {
    expect(kindOf(thrown({ status }))).toBe(fault);
    expect(kindOf(thrown({ statusCode: status }))).toBe(fault);
  });

  it.each([
    [{ status: 429, code: "insufficient_quota" }, "quota"],
    [{ status: 400, code: "context_length_exceeded" }, "unsupported"],
    [{ code: "rate_limit_exceeded" }, "rate_limit"],
    [
      { statusCode: 400, data: { error: { details: [{ reason: "API_KEY_INVALID" }] } } },
      "authentication",
    ],
    [{ statusCode: 429, data: { error: { details: [{ quotaId: "RequestsPerDay" }] } } }, "quota"],
  ])("prefers a code to a status: %o", (fields, fault) => {
    expect(kindOf(thrown(fields))).toBe(fault);
  });

  it.each([
    [new TypeError("fetch failed", { cause: thrown({ code: "ENOTFOUND" }) }), "connectivity"],
    [new TypeError("terminated"), "connectivity"],
    [new SyntaxError("Unexpected end"), "protocol"],
    [thrown({ name: "TimeoutError" }), "timeout"],
    [new Error("anything"), "server"],
    ["anything", "server"],
    [undefined, "server"],
  ])("classifies %o without a status", (error, fault) => {
    expect(kindOf(error)).toBe(fault);
  });

  it("reports a refused request with an image as unsupported", () => {
    expect(kindOf(thrown({ status: 400 }), true)).toBe("unsupported");
    expect(kindOf(thrown({ status: 401 }), true)).toBe("authentication");
  });

  it.each([
    [{ headers: new Headers({ "retry-after": "7" }) }, 7_000],
    [{ headers: { "retry-after": "0.5" } }, 500],
    [{ headers: { "retry-after": "Wed, 01 Jan 2020 00:00:00 GMT" } }, 0],
    [{ headers: { "retry-after": "soon" } }, undefined],
    [{ data: { error: { details: [null, { retryDelay: "11s" }] } } }, 11_000],
    [{}, undefined],
  ])("reads the retry delay: %o", (fields, retryAfterMs) => {
    const error = langchainError(thrown({ status: 429, ...fields }), { withImage: false });
    expect(error.retryAfterMs).toBe(retryAfterMs);
  });

  it("repeats only the status and the code", () => {
    const error = langchainError(thrown({ status: 401, code: "invalid_api_key", data: "sk-1" }), {
      withImage: false,
    });
    expect(error.message).toBe("langchain: the key is not valid (401 invalid_api_key)");
    expect(inspect(error)).not.toMatch(/sk-1|hello/);
    const odd = langchainError(thrown({ code: "not a code: sk-1" }), { withImage: false });
    expect(inspect(odd)).not.toContain("sk-1");
  });
});
