/** How alike two sounds are, sample by sample: 1 is the same. */
export function correlation(one: Int16Array, other: Int16Array): number {
  let product = 0;
  let first = 0;
  let second = 0;
  for (const [at, a] of one.entries()) {
    const b = other[at] ?? 0;
    product += a * b;
    first += a * a;
    second += b * b;
  }
  return product / Math.sqrt(first * second);
}
