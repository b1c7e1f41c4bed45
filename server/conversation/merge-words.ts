/**
 * The words so far, and a piece that came after them, as one text. A piece that begins with all the
 * words so far is a newer snapshot and replaces them. Any other piece is an addition: what it repeats
 * of the end of the words so far counts once. Takes time linear in the piece.
 *
 * `mergeWords("can you", "can you help")` and `mergeWords("can you", "you help")` are the same text.
 */
export function mergeWords(soFar: string, piece: string): string {
  return piece.startsWith(soFar) ? piece : soFar + piece.slice(overlapOf(soFar, piece));
}

/** How many characters at the begin of `piece` are the end of `text`: as many as there can be. */
function overlapOf(text: string, piece: string): number {
  const shorter = shorterMatches(piece);
  let matched = 0;
  for (let at = Math.max(0, text.length - piece.length); at < text.length; at++) {
    while (matched > 0 && (matched === piece.length || text[at] !== piece[matched])) {
      matched = shorter[matched - 1] ?? 0;
    }
    if (text[at] === piece[matched]) matched += 1;
  }
  return matched;
}

/**
 * For each prefix of the piece: how many characters at its begin are its end as well, short of all
 * (the failure function of Knuth, Morris and Pratt). Comparing suffix by suffix would let one client
 * stop everybody for seconds with 64 KiB of a single letter.
 */
function shorterMatches(piece: string): Uint32Array {
  const matches = new Uint32Array(piece.length);
  let matched = 0;
  for (let at = 1; at < piece.length; at++) {
    while (matched > 0 && piece[at] !== piece[matched]) matched = matches[matched - 1] ?? 0;
    if (piece[at] === piece[matched]) matched += 1;
    matches[at] = matched;
  }
  return matches;
}
