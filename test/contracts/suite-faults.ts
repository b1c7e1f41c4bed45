import { inspect } from "node:util";
import { expect } from "vitest";
import type { FaultKind } from "../../emulators/script.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { ProviderErrorKind } from "../../server/core/outcomes.ts";

/** The outcome of a call: its parts, and what it threw. */
export type Outcome<Part> = { readonly parts: readonly Part[]; readonly error: unknown };

/** Reads a call to its end. */
export async function outcomeOf<Part>(parts: AsyncIterable<Part>): Promise<Outcome<Part>> {
  const read: Part[] = [];
  try {
    for await (const part of parts) read.push(part);
  } catch (error) {
    return { parts: read, error };
  }
  return { parts: read, error: undefined };
}

/**
 * The error kinds of each fault. Several are listed where the protocol cannot tell them apart. The other
 * faults are not errors in themselves: `hang` waits for the signal, `drip` arrives complete, `empty` is
 * handled by the tiers, and `wrong-rate` is stated.
 */
const kindsOf = {
  refuse: ["connectivity"],
  unauthorized: ["authentication"],
  forbidden: ["authorization"],
  "rate-limit": ["rate_limit"],
  quota: ["quota"],
  "html-500": ["server"],
  cut: ["connectivity", "protocol", "server"],
  malformed: ["protocol"],
} as const satisfies Partial<Record<FaultKind, readonly ProviderErrorKind[]>>;

/** A fault that is an error. */
export type FailingKind = keyof typeof kindsOf;

/** Every fault that is an error. */
export const failingKinds = Object.keys(kindsOf) as readonly FailingKind[];

/**
 * Expects a `ProviderError` of the provider with the right kind, and no secret in its message, stack,
 * causes or fields. Returns it.
 */
export function expectError(
  error: unknown,
  expected: { provider: string; kind: FailingKind; secrets: readonly string[] },
): ProviderError {
  if (!(error instanceof ProviderError)) throw error ?? new Error("it did not fail");
  expect(error.provider).toBe(expected.provider);
  expect(kindsOf[expected.kind]).toContain(error.kind);
  const whole = inspect(error, { depth: 6 });
  for (const secret of expected.secrets) expect(whole).not.toContain(secret);
  return error;
}
