import { throwIfAborted } from "../core/async.ts";
import type { LanguageModel, Prompt } from "../models/language-model.ts";

const SAY = /^\s*say:\s*(?=\S)/i;
const GREETING =
  /^\s*(hi|hello|hey|good (morning|afternoon|evening)|bonjour|hola|hallo|ciao|привет|здравствуйте|こんにちは|你好)(?!\p{L})/iu;
const TIME = /\bwhat('s| is)? (the )?time\b|\bwhat time\b|который час|сколько времени/i;
const DATE =
  /\b(what|which) (day|date)\b|\bwhat('s| is) (the |today's )?date\b|какое сегодня число/i;

/** Options of the `offline` tier. */
export type OfflineOptions = {
  /** The current time; the system clock if absent. */
  readonly now?: () => Date;
};

/**
 * The last text tier. It answers without a model, and says so.
 *
 * It returns what follows `say:` unchanged, so that any text can be a reply. It answers greetings, and
 * questions about the time and date in the gateway's time zone.
 */
export function createOfflineModel({ now = () => new Date() }: OfflineOptions = {}): LanguageModel {
  return {
    name: "offline",
    // Its notice is no continuation of anything.
    startsOnly: true,
    async *generate(prompt: Prompt, signal: AbortSignal) {
      throwIfAborted(signal);
      yield { type: "text", text: answer(prompt.text, now()) };
    },
  };
}

function answer(text: string, now: Date): string {
  if (SAY.test(text)) return text.replace(SAY, "");
  if (TIME.test(text)) {
    const time = now.toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit" });
    // Newer locale data has a narrow no-break space before "PM"; clients expect a plain one.
    return `It is ${time.replace(/\s/u, " ")}.`;
  }
  if (DATE.test(text)) return `Today is ${now.toLocaleDateString("en-US", { dateStyle: "full" })}.`;
  if (GREETING.test(text))
    return "Hello! No language model is set up yet, but I can speak for you.";
  return "No language model is set up here, so I can't answer that. Begin with say, and a colon, and I will speak your words.";
}
