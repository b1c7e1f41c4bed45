import type { Fault } from "./script.ts";

/** An HTTP error response. */
export type Refusal = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

const json = { "content-type": "application/json; charset=UTF-8" };
const infoType = "type.googleapis.com/google.rpc.ErrorInfo";
const quotaType = "type.googleapis.com/google.rpc.QuotaFailure";

/** Google's HTTP response for faults with a status; undefined for the others. */
export function geminiRefusal({ kind, retryAfterSeconds = 1 }: Fault): Refusal | undefined {
  switch (kind) {
    case "unauthorized":
      // Google answers a wrong key with 400.
      return errorJson(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [
        { "@type": infoType, reason: "API_KEY_INVALID", domain: "googleapis.com" },
      ]);
    case "forbidden":
      return errorJson(403, "PERMISSION_DENIED", "The caller does not have permission", []);
    case "rate-limit":
      return withHeader(
        errorJson(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", [
          violation("GenerateRequestsPerMinutePerProjectPerModel"),
        ]),
        "retry-after",
        String(retryAfterSeconds),
      );
    case "quota":
      return errorJson(429, "RESOURCE_EXHAUSTED", "Check your plan and billing details.", [
        violation("GenerateRequestsPerDayPerProjectPerModel"),
      ]);
    case "html-500":
      return {
        status: 500,
        headers: { "content-type": "text/html" },
        body: "<!DOCTYPE html><title>Error 500</title><p>That's an error.",
      };
    default:
      return undefined;
  }
}

/** Google's error object. */
export function errorJson(
  status: number,
  code: string,
  message: string,
  details: readonly object[],
): Refusal {
  const error = { code: status, message, status: code, details };
  return { status, headers: json, body: JSON.stringify({ error }) };
}

function violation(quotaId: string): object {
  return { "@type": quotaType, violations: [{ quotaId }] };
}

function withHeader(refusal: Refusal, name: string, value: string): Refusal {
  return { ...refusal, headers: { ...refusal.headers, [name]: value } };
}
