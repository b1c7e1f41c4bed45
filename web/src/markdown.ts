import { Lexer, type Token, type Tokens } from "marked";

/** A piece of rendered text, and where it stands in the source, in UTF-16 units. */
export type Piece = { readonly node: Text; readonly from: number; readonly to: number };

/** A block of the reply: a paragraph, a list, code. */
export type Block = {
  readonly raw: string;
  readonly from: number;
  readonly element: HTMLElement;
  readonly pieces: readonly Piece[];
};

/**
 * Renders Markdown as elements, never as HTML: tags are shown as they are written, pictures by their
 * words. `before` are the blocks of the text so far: those in front of the first change are kept.
 */
export function renderMarkdown(source: string, before: readonly Block[] = []): readonly Block[] {
  const blocks: Block[] = [];
  let isSame = true;
  let at = 0;
  for (const token of new Lexer({ gfm: true }).lex(source)) {
    const from = Math.max(at, source.indexOf(token.raw, at));
    at = from + token.raw.length;
    if (token.type === "space" || token.type === "def") continue;
    const known = before[blocks.length];
    isSame &&= known?.raw === token.raw && known.from === from;
    blocks.push(isSame && known ? known : new Renderer(source, from).render(token));
  }
  return blocks;
}

const tags: Readonly<Record<string, string>> = {
  paragraph: "p",
  blockquote: "blockquote",
  list_item: "li",
  strong: "strong",
  em: "em",
  del: "del",
};

/** Renders one block, and keeps where each piece of its text stands in the source. */
class Renderer {
  readonly #source: string;
  readonly #from: number;
  readonly #pieces: Piece[] = [];
  #at: number;

  constructor(source: string, from: number) {
    this.#source = source;
    this.#from = from;
    this.#at = from;
  }

  render(token: Token): Block {
    const element = this.#element(token);
    return { raw: token.raw, from: this.#from, element, pieces: this.#pieces };
  }

  #element(token: Token): HTMLElement {
    const node = this.#node(token);
    if (node instanceof HTMLElement && node.tagName !== "A") return node;
    const paragraph = create("p");
    paragraph.append(node);
    return paragraph;
  }

  #node(token: Token): Node {
    if (token.type === "heading") return this.#heading(token as Tokens.Heading);
    if (token.type === "list") return this.#list(token as Tokens.List);
    if (token.type === "table") return this.#table(token as Tokens.Table);
    if (token.type === "code") return this.#code(token as Tokens.Code);
    if (token.type === "codespan") return this.#filled("code", [token]);
    if (token.type === "link") return this.#link(token as Tokens.Link);
    if (token.type === "hr") return create("hr");
    if (token.type === "br") return create("br");
    const tag = tags[token.type];
    if (tag) return this.#filled(tag, childrenOf(token));
    return this.#inline(token);
  }

  /** An element with these tokens in it. */
  #filled(tag: string, tokens: readonly Token[]): HTMLElement {
    const element = create(tag);
    if (tag === "code") for (const token of tokens) element.append(this.#text(wordsOf(token)));
    else for (const token of tokens) element.append(this.#node(token));
    return element;
  }

  #inline(token: Token): Node {
    const inner = "tokens" in token ? token.tokens : undefined;
    if (!inner) return this.#text(wordsOf(token));
    const fragment = document.createDocumentFragment();
    for (const each of inner) fragment.append(this.#node(each));
    return fragment;
  }

  // No heading of the page: a reply begins with any level, and a page must not leave one out.
  #heading(token: Tokens.Heading): HTMLElement {
    const element = this.#filled("p", token.tokens);
    element.className = "heading";
    return element;
  }

  #list(token: Tokens.List): HTMLElement {
    const list = this.#filled(token.ordered ? "ol" : "ul", token.items);
    if (token.ordered && token.start !== "" && token.start !== 1) {
      list.setAttribute("start", String(token.start));
    }
    return list;
  }

  #code(token: Tokens.Code): HTMLElement {
    const element = create("pre");
    element.tabIndex = 0;
    element.append(this.#filled("code", [token]));
    return element;
  }

  #link(token: Tokens.Link): Node {
    if (!/^(https?:\/\/|mailto:)/i.test(token.href)) return this.#inline(token);
    const link = this.#filled("a", token.tokens) as HTMLAnchorElement;
    link.href = token.href;
    link.rel = "noopener noreferrer";
    link.target = "_blank";
    return link;
  }

  #table(token: Tokens.Table): HTMLElement {
    const table = create("table");
    const row = (cells: readonly Tokens.TableCell[], tag: string) => {
      const line = create("tr");
      for (const cell of cells) line.append(this.#filled(tag, cell.tokens));
      table.append(line);
    };
    row(token.header, "th");
    for (const cells of token.rows) row(cells, "td");
    const frame = create("div");
    frame.className = "table";
    frame.tabIndex = 0;
    frame.append(table);
    return frame;
  }

  /** A text, line by line: in a quotation or a list, the source has marks between its lines. */
  #text(text: string): Node {
    const fragment = document.createDocumentFragment();
    for (const line of text.split(/(?<=\n)/)) {
      const node = document.createTextNode(line);
      const found = this.#source.indexOf(line, this.#at);
      const from = found < 0 ? this.#at : found;
      this.#at = found < 0 ? from : from + line.length;
      this.#pieces.push({ node, from, to: this.#at });
      fragment.append(node);
    }
    return fragment;
  }
}

function create(tag: string): HTMLElement {
  return document.createElement(tag);
}

function childrenOf(token: Token): readonly Token[] {
  return ("tokens" in token && token.tokens) || [];
}

function wordsOf(token: Token): string {
  if (token.type === "html" || token.type === "text") return token.raw;
  return "text" in token ? token.text : token.raw;
}
