import type { BodyHold } from "./body-budget.ts";

/** Bytes that are kept until there are enough of them. */
export type Pile = {
  readonly size: number;
  /**
   * Copies a piece onto the pile. `wantedBytes` is how much the pile is to hold in the end, if that
   * is known: no more memory than that is taken. Throws RESOURCE_EXHAUSTED over the budget.
   */
  add(piece: Uint8Array, wantedBytes: number): void;
  /** Hands over all that is on the pile, and leaves it empty. */
  take(): Uint8Array<ArrayBuffer>;
};

const smallestBytes = 256;

/**
 * Makes an empty pile. Pieces are copied into memory that doubles as it fills: that is linear in
 * time, and a one-byte piece costs one byte, where a list would keep whatever else the piece's
 * memory holds.
 */
export function createPile(hold: Pick<BodyHold, "take" | "give">): Pile {
  let memory = new Uint8Array(0);
  let size = 0;

  const resize = (bytes: number) => {
    hold.take(bytes - memory.length);
    const larger = new Uint8Array(bytes);
    larger.set(memory.subarray(0, size));
    memory = larger;
  };

  return {
    get size() {
      return size;
    },
    add(piece, wantedBytes) {
      const neededBytes = size + piece.length;
      if (neededBytes > memory.length) {
        const doubledBytes = Math.max(2 * memory.length, smallestBytes);
        resize(Math.max(Math.min(doubledBytes, wantedBytes), neededBytes));
      }
      memory.set(piece, size);
      size = neededBytes;
    },
    take() {
      const taken = memory.subarray(0, size);
      hold.give(memory.length);
      memory = new Uint8Array(0);
      size = 0;
      return taken;
    },
  };
}
