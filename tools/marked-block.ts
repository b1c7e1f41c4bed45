/**
 * Replaces the text between the markers `<!-- NAME -->` and `<!-- /NAME -->` by `content`. Throws if
 * the text does not hold each marker exactly once, in this order.
 */
export function withBlock(text: string, name: string, content: string): string {
  const { before, after } = cut(text, name);
  return `${before}<!-- ${name} -->\n\n${content}\n\n<!-- /${name} -->${after}`;
}

/** The text between the two markers, trimmed. */
export function blockOf(text: string, name: string): string {
  return cut(text, name).within.trim();
}

function cut(text: string, name: string) {
  const [before, rest, ...more] = text.split(`<!-- ${name} -->`);
  const [within, after, ...further] = rest?.split(`<!-- /${name} -->`) ?? [];
  const isMisplaced = before?.includes(`<!-- /${name} -->`) || more.length + further.length > 0;
  if (before === undefined || within === undefined || after === undefined || isMisplaced) {
    throw new Error(`the markers <!-- ${name} --> and <!-- /${name} --> must be there once each`);
  }
  return { before, within, after };
}
