import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { langchainFault } from "./errors.ts";

/** An error as the SDKs throw it: with a status, a code, headers, and words that are not ours. */
const thrown = (fields: object) => Object.assign(new Error("key sk-1 said: hello"), fields);
const kindOf = (error: unknown, withImage = false) => langchainFault(error, { withImage }).kind;

describe("langchainFault", () => {
  it.each([
    [400, "invalid_request"],
    [401, "authentication"],
    [402, "quota"],
    [403, "authorization"],
    [404, "authorization"],
    [408, "timeout"],
    [413, "unsupported"],
    [422, "invalid_request"],
    [429, "rate_limit"],
    [500, "server"],
    [503, "server"],
    [529, "server"],
  ])("reads the status %i as %s, whichever SDK tells it", (status, fault) => {
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
  ])("trusts a code more than a status: %o", (fields, fault) => {
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
  ])("finds out without a status what %o is", (error, fault) => {
    expect(kindOf(error)).toBe(fault);
  });

  it("lets another tier answer when a picture may be what is refused", () => {
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
  ])("reads when to come back: %o", (fields, retryAfterMs) => {
    const error = langchainFault(thrown({ status: 429, ...fields }), { withImage: false });
    expect(error.retryAfterMs).toBe(retryAfterMs);
  });

  it("repeats nothing of what was thrown but the status and a code", () => {
    const error = langchainFault(thrown({ status: 401, code: "invalid_api_key", data: "sk-1" }), {
      withImage: false,
    });
    expect(error.message).toBe("langchain: it does not accept the key (401 invalid_api_key)");
    expect(inspect(error)).not.toMatch(/sk-1|hello/);
    const odd = langchainFault(thrown({ code: "not a code: sk-1" }), { withImage: false });
    expect(inspect(odd)).not.toContain("sk-1");
  });
});
