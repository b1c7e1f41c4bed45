/** Longer texts are worked on slice by slice, so that the first sound does not wait for the last. */
const mostUnits = 600;
/** Where to cut, best first: behind a sentence, behind a clause, between words. */
const borders = [/^.*[.!?\n]\s/su, /^.*[,;:]\s/su, /^.*\s/su];

/**
 * Cuts a text into slices of at most 600 UTF-16 units, in the later half of each where it can.
 * Joined as they stand they are the text.
 */
export function* cutChunks(text: string): Generator<string> {
  let rest = text;
  while (rest.length > mostUnits) {
    const at = borderOf(rest.slice(0, mostUnits));
    yield rest.slice(0, at);
    rest = rest.slice(at);
  }
  yield rest;
}

function borderOf(slice: string): number {
  const half = mostUnits / 2;
  const later = slice.slice(half);
  const found = borders.map((border) => border.exec(later)?.[0].length).find((length) => length);
  if (found) return half + found;
  // Not between the two halves of one character.
  return /[\ud800-\udbff]$/.test(slice) ? mostUnits - 1 : mostUnits;
}
