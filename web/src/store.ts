import { randomUuid } from "./device.ts";

/** A turn as it is kept. */
export type KeptTurn = { readonly said: string; readonly text: string; readonly note?: string };

type Content = {
  readonly sessionId: string;
  readonly draft: string;
  readonly turns: readonly KeptTurn[];
};

const key = "parley.conversation";
/** Browsers keep some 5 MB; the oldest turns go first. */
const mostLetters = 1_000_000;

/** What this tab keeps of its conversation: it survives a reload, and ends with the tab. */
export class Kept {
  #content: Content;

  constructor() {
    this.#content = read() ?? fresh();
  }

  /** The session that the gateway knows this conversation by. */
  get sessionId(): string {
    return this.#content.sessionId;
  }

  get draft(): string {
    return this.#content.draft;
  }

  get turns(): readonly KeptTurn[] {
    return this.#content.turns;
  }

  /** Keeps a turn that has ended. */
  add(turn: KeptTurn): void {
    const turns = [...this.#content.turns, turn];
    let letters = turns.reduce((sum, each) => sum + lettersOf(each), 0);
    while (turns.length > 1 && (letters > mostLetters || turns.length > 100)) {
      const [oldest] = turns.splice(0, 1);
      letters -= oldest ? lettersOf(oldest) : 0;
    }
    this.#write({ ...this.#content, turns });
  }

  /** Keeps what was typed and not sent. */
  setDraft(draft: string): void {
    this.#write({ ...this.#content, draft });
  }

  /** Begins another conversation. What was typed stays. */
  clear(): void {
    this.#write({ ...fresh(), draft: this.#content.draft });
  }

  #write(content: Content): void {
    this.#content = content;
    try {
      sessionStorage.setItem(key, JSON.stringify(content));
    } catch {
      // Blocked or full: the page works without.
    }
  }
}

function lettersOf({ said, text }: KeptTurn): number {
  return said.length + text.length;
}

function fresh(): Content {
  return { sessionId: randomUuid(), draft: "", turns: [] };
}

function read(): Content | undefined {
  try {
    const content = JSON.parse(sessionStorage.getItem(key) ?? "") as Partial<Content>;
    const { sessionId, draft, turns } = content;
    if (typeof sessionId !== "string" || !Array.isArray(turns)) return undefined;
    return { sessionId, draft: typeof draft === "string" ? draft : "", turns };
  } catch {
    return undefined;
  }
}
