import { InvalidRequest } from "../core/errors.ts";
import type { UsageReport } from "../telemetry/usage.ts";
import { parseDeviceId, parseSessionId } from "./sessions.ts";

/** The fields of a usage report, by the contract's names. */
export type UsageFields = {
  readonly hardware_id: string;
  readonly session_id: string;
  readonly source: string;
  readonly model: string;
  readonly input_tokens: number;
  readonly output_tokens: number;
};

/** In characters. */
const MAX_NAME_LENGTH = 64;
/** More than a long task of an agent spends. A larger number is a client's mistake. */
const MAX_TOKENS = 100_000_000;
const UNNAMED = "unknown";

/** Checks a report's fields. Throws `InvalidRequest` that names the field and the rule. */
export function parseUsage(fields: UsageFields): UsageReport {
  const deviceId = parseDeviceId(fields.hardware_id);
  const sessionId = parseSessionId(fields.session_id);
  return {
    deviceId,
    ...(sessionId !== undefined && { sessionId }),
    source: parseName("source", fields.source),
    model: parseName("model", fields.model),
    inputTokens: parseTokens("input_tokens", fields.input_tokens),
    outputTokens: parseTokens("output_tokens", fields.output_tokens),
  };
}

function parseName(field: string, value: string): string {
  const name = value.trim();
  if ([...name].length <= MAX_NAME_LENGTH && !/\p{Cc}/u.test(name)) return name || UNNAMED;
  throw new InvalidRequest(
    field,
    `must be at most ${MAX_NAME_LENGTH} characters, none of them control characters`,
  );
}

function parseTokens(field: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS) return value;
  throw new InvalidRequest(field, `must be a whole number from 0 to ${MAX_TOKENS}`);
}
