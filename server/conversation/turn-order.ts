/** Devices whose turns have known places, and the turns of each: those of the latest. */
const MAX_DEVICES = 10_000;
const MAX_PLACES = 64;

type Place = {
  readonly number: number;
  /** Undefined while it is not known. */
  sequence: number | undefined;
  /** True if it got none when it began, and has none yet. */
  isUnplaced: boolean;
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
      const fail = () => {
        place.isUnplaced = place.sequence === undefined;
      };
      const place: Place = {
        number,
        sequence: undefined,
        isUnplaced: false,
        settled: sequence.then(set, fail),
      };
      own.push(place);
      if (own.length > MAX_PLACES) own.shift();
    },
    /** The place of a number became known in another way. */
    place(deviceId: string, number: number, sequence: number): void {
      const place = places.get(deviceId)?.find((each) => each.number === number);
      if (!place) return;
      place.sequence ??= sequence;
      place.isUnplaced = false;
    },
    sequenceOf: (deviceId: string, number: number): number | undefined =>
      places.get(deviceId)?.find((each) => each.number === number)?.sequence,
    /**
     * The last number of a device whose place is below this one; `withUnplaced`, also if it began and got no
     * place, since nothing was known of the others then.
     */
    async lastBelow(deviceId: string, sequence: number, withUnplaced: boolean): Promise<number> {
      const own = places.get(deviceId);
      // Forgotten: it is long ago that something began.
      if (!own) return last;
      const unplaced = own.findLast(({ isUnplaced }) => withUnplaced && isUnplaced)?.number ?? 0;
      await Promise.all(own.map(({ settled }) => settled));
      const isBelow = (place: Place) => place.sequence !== undefined && place.sequence < sequence;
      // What was forgotten before the first one is below as well.
      const placed = own.findLast(isBelow)?.number ?? (own[0]?.number ?? 1) - 1;
      return Math.max(placed, unplaced);
    },
  };
}
