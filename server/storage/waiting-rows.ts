import type { Write } from "./records.ts";

/** Rows that wait for the database, and what became of those before. */
export type WaitingRows = {
  /**
   * Adds a row and answers its id. `settle` is called once, when the row is durable, lost or late. A late
   * row counts as lost until it comes after all.
   */
  add(write: Write, options: WaitOptions): number;
  /** These are durable. */
  keep(ids: readonly number[]): void;
  /** These are lost. */
  lose(ids: readonly number[]): void;
  loseAll(): void;
  /** One was lost before it was added. */
  loseOne(): void;
  /** Bytes that wait, about. */
  bytes(): number;
  hasProbe(): boolean;
  counts(): { readonly written: number; readonly lost: number; readonly waiting: number };
};

/** How a row waits. */
type WaitOptions = {
  readonly timeoutMs: number;
  readonly settle: () => void;
  /** Called when the row becomes late, after `settle`. */
  readonly onLate: () => void;
};

type Row = {
  readonly bytes: number;
  readonly isProbe: boolean;
  readonly settle: () => void;
  readonly timer: NodeJS.Timeout;
  isLate: boolean;
};

/** What a row takes beside its texts. */
const ROW_BYTES = 512;

/** Makes a list without rows. A probe is no row that counts. */
export function createWaitingRows(): WaitingRows {
  const rows = new Map<number, Row>();
  const counts = { written: 0, lost: 0 };
  let bytes = 0;
  let lastId = 0;
  /** Takes a row from the list; undefined if it was taken before. */
  const take = (id: number): Row | undefined => {
    const row = rows.get(id);
    if (!row) return undefined;
    rows.delete(id);
    bytes -= row.bytes;
    clearTimeout(row.timer);
    return row;
  };
  const expire = (row: Row) => {
    row.isLate = true;
    if (!row.isProbe) counts.lost += 1;
    row.settle();
  };
  const lose = (ids: Iterable<number>) => {
    for (const id of ids) {
      const row = take(id);
      if (row && !row.isLate) expire(row);
    }
  };
  return {
    add(write, { timeoutMs, settle, onLate }) {
      const id = ++lastId;
      const timer = setTimeout(() => {
        expire(row);
        onLate();
      }, timeoutMs);
      const isProbe = write.type === "probe";
      const row: Row = { bytes: bytesOf(write), isProbe, settle, timer, isLate: false };
      rows.set(id, row);
      bytes += row.bytes;
      return id;
    },
    keep(ids) {
      for (const id of ids) {
        const row = take(id);
        if (!row) continue;
        if (!row.isProbe) counts.written += 1;
        if (!row.isProbe && row.isLate) counts.lost -= 1;
        row.settle();
      }
    },
    lose,
    loseAll: () => lose([...rows.keys()]),
    loseOne() {
      counts.lost += 1;
    },
    bytes: () => bytes,
    hasProbe: () => [...rows.values()].some(({ isProbe }) => isProbe),
    counts: () => ({ ...counts, waiting: rows.size }),
  };
}

/** About what the row takes in memory. */
function bytesOf(write: Write): number {
  if (write.type !== "turn") return ROW_BYTES;
  const { prompt = "", reply, heard = "" } = write.turn;
  return ROW_BYTES + 2 * (prompt.length + reply.length + heard.length);
}
