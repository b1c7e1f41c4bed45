import type { CallFacts } from "../core/outcomes.ts";
import type { TierListener } from "../failover/tiers.ts";
import type { Quotas } from "../limits/quotas.ts";
import type { TurnState } from "../storage/records.ts";
import type { Playback } from "./playback.ts";
import type { TurnRequest } from "./turn-request.ts";

/** Counts the tokens of one turn, by what the vendors say of its calls. */
export type TurnTokens = {
  /** To be told of the turn's calls. */
  readonly onCall: NonNullable<TierListener["onCall"]>;
  /** What is known so far, for the turn's row. */
  read(): Pick<TurnState, "inputTokens" | "outputTokens">;
  /** Calls the listener with the sum so far, and with what calls that end later add to it. */
  tell(listener: (tokens: number) => void): void;
};

/** Starts at none. Passes calls on to `onCall`. */
export function createTurnTokens(onCall: TierListener["onCall"]): TurnTokens {
  const sums: { inputTokens?: number; outputTokens?: number } = {};
  let tellMore: ((tokens: number) => void) | undefined;
  const add = ({ inputTokens, outputTokens }: CallFacts) => {
    if (inputTokens !== undefined) sums.inputTokens = (sums.inputTokens ?? 0) + inputTokens;
    if (outputTokens !== undefined) sums.outputTokens = (sums.outputTokens ?? 0) + outputTokens;
    tellMore?.((inputTokens ?? 0) + (outputTokens ?? 0));
  };
  return {
    onCall(call) {
      const observer = onCall?.(call);
      return {
        ...observer,
        end(end) {
          if (end.facts) add(end.facts);
          observer?.end(end);
        },
      };
    },
    read: () => ({ ...sums }),
    tell(listener) {
      listener((sums.inputTokens ?? 0) + (sums.outputTokens ?? 0));
      tellMore = listener;
    },
  };
}

/** The device whose quotas a turn counts for. Undefined: nobody's. */
export function payerOf({ deviceId, payerId }: TurnRequest): string | undefined {
  return deviceId ?? payerId;
}

/** What a turn is charged for. */
type Charged = { readonly playback: Pick<Playback, "sent">; readonly tokens: TurnTokens };

/** Counts the sound that was sent from here, and the tokens that it took. */
export function charge(
  { quotas }: { readonly quotas?: Quotas | undefined },
  request: TurnRequest,
  { playback, tokens }: Charged,
): void {
  const payerId = payerOf(request);
  if (payerId === undefined || !quotas) return;
  const { samples: sentBefore = 0 } = request.continues ?? {};
  quotas.addSound(payerId, playback.sent().samples - sentBefore);
  tokens.tell((count) => quotas.addTokens(payerId, count));
}
