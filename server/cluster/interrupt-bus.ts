import { randomUUID } from "node:crypto";
import type { Redis } from "./redis-contract.ts";
import type { EndedElsewhere, EndedTurns, RemoteInterrupt } from "./turn-registry.ts";

/** How long an interrupt waits for the other instances, in milliseconds. */
export const ANSWER_MS = 250;
/** Where instances hear of interrupts: the place below which it is meant, a space, and the message. */
export const INTERRUPTS = "parley:interrupts";

/** How an interrupt went out. */
type Sent = {
  /** Those that heard it, this instance included. */
  readonly receivers: number;
  /** Other instances that there are. */
  readonly others: number;
};

/** Interrupts between instances, and their answers. Redis keeps none: who is not there hears nothing. */
export type InterruptBus = {
  /** Hears the others from now on. `onOpen` is called each time they can be heard: some were missed. */
  listen(end: (interrupt: RemoteInterrupt) => Promise<EndedTurns>, onOpen: () => void): void;
  /** Hears them no more. */
  leave(): void;
  /**
   * Sends an interrupt, and waits for the answers of those that heard it: for 250 ms in all. Rejects as
   * `send` does.
   */
  ask(
    interrupt: Pick<RemoteInterrupt, "deviceId" | "upTo">,
    send: (message: string) => Promise<Sent>,
  ): Promise<EndedElsewhere>;
};

type Call = Pick<RemoteInterrupt, "deviceId" | "upTo"> & {
  readonly id: string;
  /** The instance that asks. */
  readonly from: string;
};
type Answer = EndedTurns & { readonly id: string };

/** Makes the bus of the instance `self`. */
export function createInterruptBus(redis: Redis, self: string): InterruptBus {
  const ears = redis.connect("interrupts");
  const leaving: (() => void)[] = [];
  /** Interrupts of this instance that wait for answers. */
  const waiting = new Map<string, (ended: EndedTurns) => void>();

  const hear = async (
    message: string,
    end: (interrupt: RemoteInterrupt) => Promise<EndedTurns>,
  ) => {
    const [, before, text] = /^(\d+) (.*)$/s.exec(message) ?? [];
    const { id, from, deviceId, upTo } = parse<Call>(text);
    if (!id || !from || !deviceId || from === self) return;
    const ended = await end({ deviceId, before: Number(before), ...(upTo && { upTo }) });
    const answer = JSON.stringify({ id, ...ended } satisfies Answer);
    const publish = redis.run((client) => client.publish(answersOf(from), answer));
    // Who asked goes on without it, and says so.
    await publish.catch(() => undefined);
  };
  const hearAnswer = (message: string) => {
    const { id, sessions = [], sentTurns = [] } = parse<Answer>(message);
    if (id) waiting.get(id)?.({ sessions, sentTurns });
  };
  return {
    listen(end, onOpen) {
      leaving.push(
        ears.subscribe(INTERRUPTS, (message) => void hear(message, end)),
        ears.subscribe(answersOf(self), hearAnswer),
        ears.onOpen(onOpen),
      );
    },
    leave() {
      for (const forget of leaving.splice(0)) forget();
    },
    async ask(interrupt, send) {
      const id = randomUUID();
      const message = JSON.stringify({ id, from: self, ...interrupt } satisfies Call);
      const answers = createAnswers();
      waiting.set(id, answers.add);
      try {
        const { receivers, others } = await send(message);
        // Answers come the way that interrupts do.
        const reached = ears.isOk() ? Math.max(0, receivers - 1) : 0;
        return await answers.gather(reached, Math.max(reached, others));
      } finally {
        waiting.delete(id);
        answers.stop();
      }
    },
  };
}

/** Gathers answers, which may come before it is known how many. Its time begins now. */
function createAnswers() {
  const all: EndedTurns[] = [];
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(done.resolve, ANSWER_MS);
  let awaited = Number.POSITIVE_INFINITY;
  const check = () => {
    if (all.length >= awaited) done.resolve();
  };
  return {
    add(ended: EndedTurns) {
      all.push(ended);
      check();
    },
    async gather(reached: number, expected: number): Promise<EndedElsewhere> {
      awaited = reached;
      check();
      await done.promise;
      return {
        sessions: all.flatMap(({ sessions }) => sessions),
        sentTurns: all.flatMap(({ sentTurns }) => sentTurns),
        unacknowledged: Math.max(0, expected - all.length),
      };
    },
    stop: () => clearTimeout(timer),
  };
}

/** Where an instance hears the others' answers. */
function answersOf(instance: string): string {
  return `parley:answers:${instance}`;
}

/** What another instance said; nothing if it is not JSON. It may be of another version. */
function parse<Message>(text: string | undefined): Partial<Message> {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
