/**
 * The text with `content` in the place of what stands between `<!-- NAME -->` and `<!-- /NAME -->`,
 * all else untouched. Throws if it does not hold each of these lines exactly once, in this order.
 */
export function withBlock(text: string, name: string, content: string): string {
  const { before, after } = cut(text, name);
  return `${before}<!-- ${name} -->\n\n${content}\n\n<!-- /${name} -->${after}`;
}

/** What stands between the two lines of that name, without white space around it. */
export function blockOf(text: string, name: string): string {
  return cut(text, name).within.trim();
}

function cut(text: string, name: string) {
  const [before, rest, ...more] = text.split(`<!-- ${name} -->`);
  const [within, after, ...further] = rest?.split(`<!-- /${name} -->`) ?? [];
  const isMisplaced = before?.includes(`<!-- /${name} -->`) ?? true;
  if (before === undefined || within === undefined || after === undefined) {
    throw new Error(`the lines <!-- ${name} --> and <!-- /${name} --> must stand there once each`);
  }
  if (isMisplaced || more.length + further.length > 0) {
    throw new Error(`the lines <!-- ${name} --> and <!-- /${name} --> must stand there once each`);
  }
  return { before, within, after };
}
