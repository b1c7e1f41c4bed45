const prefix = "parley.";

/** What this browser was told to remember under a key; nothing where storage is blocked. */
export function recall(key: string): string | undefined {
  try {
    return localStorage.getItem(prefix + key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Remembers a value in this browser, if storage is not blocked. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(prefix + key, value);
  } catch {
    // The page works without: what is not remembered lasts until it is closed.
  }
}
