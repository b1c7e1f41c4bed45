/** The messages of one connection on their way to the SDK, which asks for one after the other. */
export type AzureInbox<Message> = {
  /** Takes a message in. */
  put(message: Message): void;
  /**
   * The oldest message, or the next to come. Every call takes the place of the one before, which
   * never resolves if no message came for it; nor does any when the inbox is over.
   */
  take(): Promise<Message>;
  /**
   * Says that nothing more comes. Resolves when the inbox is over: the SDK has asked for more than
   * came, so that it is through with all of it, or has not asked for too long.
   */
  end(): Promise<void>;
  /** Makes it be over at once; what waits is never delivered. */
  drop(): void;
  isOver(): boolean;
};

/**
 * An SDK that reads takes what waits in one go, before any timer fires. This is for one that reads
 * no more, as it does behind a message that it chokes on.
 */
const patienceMs = 250;

/** Makes the inbox of a connection. */
export function createAzureInbox<Message extends object>(): AzureInbox<Message> {
  const waiting: Message[] = [];
  const over = Promise.withResolvers<void>();
  // The SDK begins to read anew with every document and never leaves off: only the last one counts.
  let taker: ((message: Message) => void) | undefined;
  let state: "open" | "ended" | "over" = "open";
  let timer: NodeJS.Timeout | undefined;

  const finish = () => {
    state = "over";
    waiting.length = 0;
    clearTimeout(timer);
    over.resolve();
  };
  return {
    put(message) {
      if (state !== "open") return;
      const taken = taker;
      taker = undefined;
      if (taken) taken(message);
      else waiting.push(message);
    },
    take: () =>
      new Promise((resolve) => {
        const message = waiting.shift();
        if (message) return resolve(message);
        taker = resolve;
        if (state === "ended") finish();
      }),
    end() {
      if (state !== "open") return over.promise;
      state = "ended";
      // Whoever waits for a message is through with all that came before.
      if (taker) finish();
      else timer = setTimeout(finish, patienceMs);
      return over.promise;
    },
    drop: finish,
    isOver: () => state === "over",
  };
}
