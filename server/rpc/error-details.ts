import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.ts";
import type { LimitName } from "../core/errors.ts";

/** A detail of an error, as `ConnectError` takes it. */
export type ErrorDetail<Desc extends DescMessage = DescMessage> = {
  readonly desc: Desc;
  readonly value: MessageInitShape<Desc>;
};

/** Why a request failed, for programs: a reason in capitals, of the domain `parley`. */
export function errorInfo(
  reason: string,
  metadata: Readonly<Record<string, string>> = {},
): ErrorDetail {
  return { desc: ErrorInfoSchema, value: { reason, domain: "parley", metadata } };
}

/** Which limit was reached, by its name, and when the request may pass. */
export function limitDetails(limit: LimitName, retryAfterMs: number): ErrorDetail[] {
  return [errorInfo("LIMIT_EXCEEDED", { limit }), retryInfo(retryAfterMs)];
}

/** When the same request may pass. */
export function retryInfo(ms: number): ErrorDetail {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1_000_000);
  return { desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds), nanos } } };
}

/** What is wrong with one field. */
export function badRequest(field: string, description: string): ErrorDetail {
  return { desc: BadRequestSchema, value: { fieldViolations: [{ field, description }] } };
}
