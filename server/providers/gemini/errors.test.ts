import { describe, expect, it } from "vitest";
import { type HttpFailure, httpError, socketError, thrownError } from "./errors.ts";

const secret = "what the user said";

function body(status: string, message: string, details: readonly object[] = []): string {
  return JSON.stringify({ error: { code: 0, status, message: `${message} ${secret}`, details } });
}

function violation(quotaId: string): object {
  return { violations: [{ quotaId }] };
}

describe("httpError", () => {
  const cases: [string, HttpFailure, string][] = [
    ["an invalid request", { status: 400, body: body("INVALID_ARGUMENT", "x") }, "refused"],
    [
      "a wrong key, which the vendor answers with 400",
      { status: 400, body: body("INVALID_ARGUMENT", "x", [{ reason: "API_KEY_INVALID" }]) },
      "authentication",
    ],
    [
      "a country that is not supported",
      { status: 400, body: body("FAILED_PRECONDITION", "User location") },
      "authorization",
    ],
    ["no key", { status: 401 }, "authentication"],
    ["a key without rights", { status: 403 }, "authorization"],
    ["an unknown model", { status: 404 }, "authorization"],
    ["a request that is too large", { status: 413 }, "refused"],
    ["too many requests", { status: 429 }, "rate_limit"],
    [
      "too many a minute, in the words of an exhausted quota",
      { status: 429, body: body("RESOURCE_EXHAUSTED", "your quota", [violation("xPerMinute")]) },
      "rate_limit",
    ],
    [
      "too many a day",
      { status: 429, body: body("RESOURCE_EXHAUSTED", "x", [violation("xPerDay")]) },
      "quota",
    ],
    ["an empty account", { status: 429, body: body("RESOURCE_EXHAUSTED", "credits") }, "quota"],
    ["a proxy's page", { status: 502, body: `<html>${secret}` }, "server"],
    ["an unknown status", { status: 599, body: "{" }, "server"],
  ];
  it.each(cases)("classifies %s", (_, failure, fault) => {
    const error = httpError("gemini", failure);
    expect(error.kind).toBe(fault);
    expect(`${error.message} ${error.stack}`).not.toContain(secret);
  });

  it("reads the retry delay from the header (seconds or a date) and from the body", () => {
    const inBody = body("RESOURCE_EXHAUSTED", "x", [{ retryDelay: "33.5s" }]);
    expect(httpError("g", { status: 429, retryAfter: "7", body: inBody }).retryAfterMs).toBe(7_000);
    expect(httpError("g", { status: 429, body: inBody }).retryAfterMs).toBe(33_500);
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const waitMs = httpError("g", { status: 503, retryAfter: date }).retryAfterMs ?? 0;
    expect(Math.abs(waitMs - 3_600_000)).toBeLessThan(60_000);
    expect(httpError("g", { status: 429, retryAfter: "soon" }).retryAfterMs).toBeUndefined();
  });
});

describe("socketError", () => {
  it.each([
    [1007, "API key not valid. Please pass a valid API key.", true, "authentication"],
    [1007, "Cannot extract voices from a non-audio request.", false, "authorization"],
    [1007, "Request contains an invalid argument.", true, "refused"],
    [1008, "models/x is not found for API version v1beta", false, "authorization"],
    [1011, "You exceeded your current quota, please check your billing details", true, "quota"],
    [1011, "Resource has been exhausted (e.g. check quota).", true, "rate_limit"],
    [1011, "Internal error encountered.", true, "server"],
    [1006, "", true, "connectivity"],
    [1000, "", true, "server"],
  ])("classifies a close with %i %s", (code, reason, ready, fault) => {
    const error = socketError("gemini-live", { kind: "closed", code, reason }, ready);
    expect(error.kind).toBe(fault);
    expect(error.message).not.toContain(reason || "nothing");
  });

  it("blames the settings for a refused handshake", () => {
    const error = socketError("gemini-live", { kind: "http", failure: { status: 400 } }, false);
    expect(error.kind).toBe("authorization");
  });
});

describe("thrownError", () => {
  it.each([
    [new TypeError("fetch failed", { cause: systemError("ECONNREFUSED") }), "connectivity"],
    [new TypeError("terminated"), "connectivity"],
    [new Error("Incomplete JSON segment at the end"), "protocol"],
    [new Error(`exception parsing stream chunk ${secret}`), "protocol"],
    [new SyntaxError(`Unexpected token, "${secret}" is not valid JSON`), "protocol"],
    [new Error(secret), "server"],
    [secret, "server"],
  ])("classifies %s, and quotes nothing of it", (thrown, fault) => {
    const error = thrownError("gemini", thrown);
    expect(error).toMatchObject({ kind: fault, cause: undefined });
    expect(error.message).not.toContain(secret);
  });
});

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}
