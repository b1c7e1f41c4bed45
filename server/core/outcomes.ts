/**
 * How a call of a tier can end, other than well. Every provider ends with one of these; `outcomeRules`
 * says what follows.
 */
export type ProviderErrorKind = keyof typeof outcomeRules;

/** An outcome that a vendor's answer alone can tell. */
export type VendorErrorKind = Exclude<ProviderErrorKind, "language" | "withheld" | "empty">;

/** What a vendor says of one call, where it does. */
export type CallFacts = {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Why the reply ended, by the vendor's name. */
  readonly finishReason?: string;
};

/** What follows from an outcome. */
export type OutcomeRule = {
  /** What it means, for the documentation. */
  readonly meaning: string;
  /** Whether the next tier of the chain is called. */
  readonly callsNext: boolean;
  /**
   * What the tier's circuit breaker does: `counts` it as a failure, `opens` at once, `ignores` it (it
   * says nothing about the tier), or takes it for a `success`.
   */
  readonly breaker: "counts" | "opens" | "ignores" | "success";
  /** What the client hears if no other tier answers. */
  readonly client: string;
};

const unavailable = "`UNAVAILABLE` with each tier's cause, if no tier is left";

/** One row for each outcome. docs/providers.md has it as a table, made from here. */
export const outcomeRules = {
  connectivity: {
    meaning: "The provider is unreachable, or the connection broke.",
    callsNext: true,
    breaker: "counts",
    client: unavailable,
  },
  timeout: {
    meaning: "It was silent for longer than its share of the turn's time.",
    callsNext: true,
    breaker: "counts",
    client: unavailable,
  },
  server: {
    meaning: "It answered with an error of its own.",
    callsNext: true,
    breaker: "counts",
    client: unavailable,
  },
  protocol: {
    meaning: "It answered something that cannot be read, or ended without an answer.",
    callsNext: true,
    breaker: "counts",
    client: unavailable,
  },
  rate_limit: {
    meaning: "Too many requests. Its retry time is honored, up to 5 min.",
    callsNext: true,
    breaker: "opens",
    client: unavailable,
  },
  quota: {
    meaning: "The account has no credit left.",
    callsNext: true,
    breaker: "opens",
    client: unavailable,
  },
  authentication: {
    meaning: "The key is wrong. A setting must change.",
    callsNext: true,
    breaker: "opens",
    client: unavailable,
  },
  authorization: {
    meaning: "The key lacks a right, or the model or voice does not exist. A setting must change.",
    callsNext: true,
    breaker: "opens",
    client: unavailable,
  },
  refused: {
    meaning:
      "The provider refuses this request, whoever sends it. Another may take it. `/status` shows it after three in a row.",
    callsNext: true,
    breaker: "ignores",
    client: unavailable,
  },
  unsupported: {
    meaning: "The provider cannot do this: a picture, a text without anything to pronounce.",
    callsNext: true,
    breaker: "ignores",
    client: unavailable,
  },
  language: {
    meaning: "The voice does not speak the language of the text.",
    callsNext: true,
    breaker: "ignores",
    client: "the text without a voice, then `UNAVAILABLE` with the reason",
  },
  withheld: {
    meaning:
      "The model withholds its reply for safety. No other model is asked, unless `FAILOVER_WITHHELD` is set.",
    callsNext: false,
    breaker: "success",
    client: "a short spoken refusal",
  },
  empty: {
    meaning: "The model has nothing to say, and says so.",
    callsNext: false,
    breaker: "success",
    client: "an empty reply that ends well",
  },
} as const satisfies Record<string, OutcomeRule>;

/** The rule of an outcome. */
export function ruleOf(kind: ProviderErrorKind): OutcomeRule {
  return outcomeRules[kind];
}
