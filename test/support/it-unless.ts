import { it } from "vitest";

/**
 * Registers a test unless it has no meaning for what is tested: a provider that does not stream
 * cannot be cut midway. Such a test is not skipped, it does not exist; a skipped one would say that
 * something is left to be looked at.
 */
export function itUnless(isMeaningless: boolean | undefined): typeof it {
  return isMeaningless ? nothing : it;
}

const nothing = Object.assign(() => undefined, {
  each: () => () => undefined,
}) as unknown as typeof it;
