/** Devices whose turns have known places, and the turns of each: those of the latest. */
const MAX_DEVICES = 10_000;
const MAX_PLACES = 64;

type Place = {
  readonly number: number;
  /** Undefined while it is not known. */
  sequence: number | undefined;
  /** Resolves when it is known, or cannot be for now. */
  readonly settled: Promise<unknown>;
};

/**
 * Numbers what begins in this process, and remembers the place of each among what other instances begin.
 * Of one device, later numbers have later places.
 */
export function createTurnOrder() {
  /** By device, the one touched longest ago first; of each, in the order of the numbers. */
  const places = new Map<string, Place[]>();
  let last = 0;
  const touch = (deviceId: string): Place[] => {
    const own = places.get(deviceId) ?? [];
    places.delete(deviceId);
    places.set(deviceId, own);
    const [oldest] = places.keys();
    if (places.size > MAX_DEVICES && oldest !== undefined) places.delete(oldest);
    return own;
  };
  return {
    next: () => ++last,
    last: () => last,
    /** What has the number takes a place, which is not known yet. It never is if the promise rejects. */
    await(deviceId: string, number: number, sequence: Promise<number>): void {
      const own = touch(deviceId);
      const set = (value: number) => {
        place.sequence ??= value;
      };
      const place: Place = {
        number,
        sequence: undefined,
        settled: sequence.then(set, () => undefined),
      };
      own.push(place);
      if (own.length > MAX_PLACES) own.shift();
    },
    /** The place of a number became known in another way. */
    place(deviceId: string, number: number, sequence: number): void {
      const place = places.get(deviceId)?.find((each) => each.number === number);
      if (place) place.sequence ??= sequence;
    },
    sequenceOf: (deviceId: string, number: number): number | undefined =>
      places.get(deviceId)?.find((each) => each.number === number)?.sequence,
    /** The last number of a device whose place is below this one. */
    async lastBelow(deviceId: string, sequence: number): Promise<number> {
      const own = places.get(deviceId);
      // Forgotten: it is long ago that something began.
      if (!own) return last;
      await Promise.all(own.map(({ settled }) => settled));
      const isBelow = (place: Place) => place.sequence !== undefined && place.sequence < sequence;
      // What was forgotten before the first one is below as well.
      return own.findLast(isBelow)?.number ?? (own[0]?.number ?? 1) - 1;
    },
  };
}
