/** Prose of a comment as Markdown. Comments may hold `code`, lists and empty lines, no HTML. */
export function prose(comment: string): string {
  return outsideCode(comment, (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
}

/** The same on one line, for a table's cell. */
export function cell(comment: string): string {
  return prose(comment)
    .replace(/\n\s*\n/g, "<br><br>")
    .replace(/\n(?=[-*] )/g, "<br>")
    .replace(/\s*\n\s*/g, " ")
    .replaceAll("|", "\\|");
}

/** The first sentence of a comment, for an overview. */
export function firstSentence(comment: string): string {
  const [paragraph = ""] = comment.split(/\n\s*\n/);
  const [sentence = ""] = paragraph.replace(/\s+/g, " ").split(/(?<=[.!?])\s/);
  return sentence;
}

/** A table. Cells are Markdown on one line each. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** A heading with the anchor `#id`: headings of two packages may have the same text. */
export function heading(level: number, text: string, id: string): string {
  return `${"#".repeat(level)} <a id="${id}"></a>${text}`;
}

function outsideCode(text: string, change: (text: string) => string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : change(part)))
    .join("");
}
