import { ProviderError } from "../../core/errors.ts";
import { normalizeText } from "../normalize/normalize.ts";
import type { SpeakRequest } from "../worker/messages.ts";
import { cutChunks } from "./chunks.ts";
import { cutClauses } from "./clauses.ts";
import { isMostlyForeign, toLatin } from "./latin.ts";

/** How an English voice takes a text. */
export type EnglishTextOptions = {
  /** The tier that asks, to name in errors. */
  readonly provider: string;
  /** Whether a text mostly in another script is romanised and spoken; else it is refused. */
  readonly transliterate: boolean;
};

/**
 * Creates the way from a text to its clauses, written out as an English voice says them. They are
 * made as they are asked for; there are none if there is nothing to say. A text mostly in a non-Latin
 * script is refused as `unsupported`, for another tier to speak, unless `transliterate` is set.
 */
export function createTextClauses({
  provider,
  transliterate,
}: EnglishTextOptions): (text: string) => Iterable<SpeakRequest> {
  return function* clausesOf(text) {
    if (!transliterate && isMostlyForeign(text)) {
      throw new ProviderError(provider, "unsupported", "the text is not in the Latin script");
    }
    for (const slice of cutChunks(text)) yield* cutClauses(normalizeText(toLatin(slice)));
  };
}
