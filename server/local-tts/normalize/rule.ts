/** The match, then its groups. Groups that are absent or did not match are "". */
type Groups = readonly [
  all: string,
  string,
  string,
  string,
  string,
  string,
  string,
  string,
  string,
];

/** A pattern, and the spoken form of a match. `rest` is the text after the match. */
export type Rule = readonly [pattern: RegExp, replace: (groups: Groups, rest: string) => string];

/** Applies the rules in order, each to the whole text. */
export function applyRules(text: string, rules: readonly Rule[]): string {
  return rules.reduce((written, rule) => applyRule(written, rule), text);
}

function applyRule(text: string, [pattern, replace]: Rule): string {
  return text.replace(pattern, (...found: unknown[]) => {
    const at = found.findIndex((value) => typeof value === "number");
    const group = (index: number) => (index < at ? String(found[index] ?? "") : "");
    const all = group(0);
    const [a, b, c, d] = [group(1), group(2), group(3), group(4)];
    const [e, f, g, h] = [group(5), group(6), group(7), group(8)];
    return replace([all, a, b, c, d, e, f, g, h], text.slice(Number(found[at]) + all.length));
  });
}

/** A full stop if an abbreviation's dot also ends the sentence: only quotes or brackets follow. */
export function stopAtEnd(rest: string): string {
  return /^["')\]\s]{0,8}$/.test(rest) ? "." : "";
}
