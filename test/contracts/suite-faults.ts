import { inspect } from "node:util";
import { expect } from "vitest";
import type { FaultKind } from "../../emulators/script.ts";
import { ProviderError, type ProviderErrorKind } from "../../server/core/errors.ts";

/** What a call came to: its parts, and what it threw. */
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
 * What each fault of an emulator has to become. Where the wire alone cannot tell, there is a choice.
 * The faults that are not here are no errors by themselves: a hang waits for the signal, what drips
 * comes whole, what ends empty is the tiers' business, and another rate is stated.
 */
const faultsOf = {
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
export type FailingKind = keyof typeof faultsOf;

/** Every fault that is an error. */
export const failingKinds = Object.keys(faultsOf) as readonly FailingKind[];

/**
 * Expects that it is a `ProviderError` of that provider with the right fault, and that neither its
 * message nor its stack, causes or fields bear any of the secrets. Returns it.
 */
export function expectFault(
  error: unknown,
  expected: { provider: string; kind: FailingKind; secrets: readonly string[] },
): ProviderError {
  if (!(error instanceof ProviderError)) throw error ?? new Error("it did not fail");
  expect(error.provider).toBe(expected.provider);
  expect(faultsOf[expected.kind]).toContain(error.kind);
  const whole = inspect(error, { depth: 6 });
  for (const secret of expected.secrets) expect(whole).not.toContain(secret);
  return error;
}
