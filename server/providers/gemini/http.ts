import { setImmediate } from "node:timers/promises";
import { limitTime } from "../../core/time-limit.ts";
import { httpError } from "./errors.ts";

// What the SDK is given in the place of its own.

const warmTimeoutMs = 3_000;

/** The vendor's address. */
export const vendorUrl = "https://generativelanguage.googleapis.com";

/**
 * Requests any page, without the key: only the connection matters, and Node keeps it for the next
 * request. After a HEAD it would not.
 */
export async function warm(baseUrl: string, signal: AbortSignal): Promise<void> {
  const time = limitTime(signal, warmTimeoutMs);
  try {
    const options = { signal: time.signal, redirect: "manual" } as const;
    const response = await fetch(new URL("/", baseUrl), options);
    await response.arrayBuffer();
  } finally {
    time.clear();
  }
  // Node reclaims the connection one event loop iteration later.
  await setImmediate();
}

/** Silences the SDK's console warning about keys in the environment. */
export function quietly<T>(make: () => T): T {
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return make();
  } finally {
    console.warn = warn;
  }
}

/** The SDK drops the headers of an error response; `Retry-After` is among them. */
export function fetchFor(provider: string): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.ok) return response;
    const retryAfter = response.headers.get("retry-after");
    throw httpError(provider, { status: response.status, retryAfter, body: await response.text() });
  };
}
