/**
 * Why no agent can be called. The message goes to clients and `/status`: it is in the gateway's own
 * words, and holds no path and nothing that another program wrote.
 */
export class AgentUnavailable extends Error {
  override readonly name = "AgentUnavailable";
}

/** The code of a system error, in parentheses with a space before: " (ENOENT)". "" without one. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
}
