/** What another instance said of a turn, and what of it is missing. */
export type Continuation = {
  /** The reply, and the samples at 48 kHz, that were sent. */
  readonly said: string;
  readonly samples: number;
  /** Where in both the sentence goes on that was being sent. */
  readonly spanStart: { readonly text: number; readonly sample: number };
  /** What is left of that sentence: to be spoken, and not sent again. "" if nothing is. */
  readonly rest: string;
  /** The tiers that made it last. */
  readonly tiers: { readonly text?: string; readonly speech?: string };
  /** All of the reply's text was sent. */
  readonly isWhole: boolean;
};
