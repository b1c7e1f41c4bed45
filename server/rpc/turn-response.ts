import type { TurnChunk } from "../conversation/reply.ts";
import type { TurnEnd, TurnIds, TurnListener } from "../conversation/turn.ts";
import { isOpus } from "./opus-chunks.ts";
import type { Response } from "./respond.ts";
import { endStep, type StreamStep, streamStep } from "./response-messages.ts";

/** What every response of StreamAudio has. */
export const streamShape = {
  step: streamStep,
  isPlain: (chunk: TurnChunk) => chunk.source === undefined && !isOpus(chunk),
  see: () => undefined,
};

/** The response of a turn: its ids come with the first message, and how it ended with the last. */
export function withEnds(
  open: (listener: TurnListener) => AsyncIterable<readonly TurnChunk[]>,
  isGreeting: boolean,
): Response<StreamStep> {
  let untold: TurnIds | undefined;
  /** The step, with the turn's ids if it is the first. */
  const withIds = (step: StreamStep): StreamStep => {
    const ids = untold;
    untold = undefined;
    return { ...step, ...ids };
  };
  let isPartial = false;
  let ending: TurnEnd = { isVerbatim: isGreeting, sequence: 0 };
  const listener = {
    onBegin: (ids: TurnIds) => {
      untold = ids;
    },
    onPartial: () => {
      isPartial = true;
    },
    onEnd: (end: TurnEnd) => {
      ending = end;
    },
  };
  const lastStep = () => ({
    ...endStep(ending.isVerbatim ? "greeting_done" : "done"),
    ...(ending.sequence > 0 && { sequence: BigInt(ending.sequence) }),
    ...(isPartial && { partial: true }),
  });
  return {
    ...streamShape,
    batches: open(listener),
    step: (chunk) => withIds(streamStep(chunk)),
    end: () => [withIds(lastStep())],
  };
}
