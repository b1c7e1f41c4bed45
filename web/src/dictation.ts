import { locale, t } from "./messages.ts";

/** The part of the browser's recogniser that is used; the DOM's types leave it out. */
type Recognition = EventTarget & {
  lang: string;
  continuous: boolean;
  interimResults: boolean;
  start(): void;
  stop(): void;
};
type RecognitionResult = Event & {
  readonly results: ArrayLike<ArrayLike<{ readonly transcript: string }>>;
};

/** What dictation does to the page. */
export type DictationEvents = {
  /** The user begins to speak. */
  onSpeech(): void;
  /** All that was understood so far. */
  onWords(words: string): void;
  /** It listens, or not any more; `trouble` says why not. */
  onChange(listening: boolean, trouble?: string): void;
};

const global = globalThis as unknown as {
  readonly SpeechRecognition?: new () => Recognition;
  readonly webkitSpeechRecognition?: new () => Recognition;
};

/** Whether this browser has a recogniser of its own. */
export function canDictate(): boolean {
  return recogniser() !== undefined;
}

/** Listens until it is stopped, or the browser ends it. Returns how to stop. */
export function dictate(on: DictationEvents): () => void {
  const Recogniser = recogniser();
  if (!Recogniser) return () => undefined;
  const recognition = new Recogniser();
  recognition.lang = navigator.languages[0] ?? locale;
  recognition.continuous = true;
  recognition.interimResults = true;
  let trouble: string | undefined;
  let spoke = false;
  const speaks = () => {
    if (!spoke) on.onSpeech();
    spoke = true;
  };
  recognition.addEventListener("speechstart", speaks);
  recognition.addEventListener("result", (event) => {
    speaks();
    const { results } = event as RecognitionResult;
    on.onWords(Array.from(results, (result) => result[0]?.transcript ?? "").join(""));
  });
  recognition.addEventListener("error", (event) => {
    const { error } = event as Event & { error?: string };
    if (error === "no-speech" || error === "aborted") return;
    trouble = error === "not-allowed" ? t.dictationDenied : t.dictationFailed;
  });
  recognition.addEventListener("end", () => on.onChange(false, trouble));
  recognition.start();
  on.onChange(true);
  return () => recognition.stop();
}

function recogniser(): (new () => Recognition) | undefined {
  return global.SpeechRecognition ?? global.webkitSpeechRecognition;
}
