import type { KnownFact, MemoryChange, MemoryTerm, NewFact } from "../../models/memory.ts";
import { english } from "./english.ts";
import { contains, type Grammar, type Rule, tidy, wordsOf } from "./grammar.ts";
import { russian } from "./russian.ts";

/** Characters of a prompt that are read: nobody says more at once. */
const MAX_READ = 8192;
/** Facts that one turn adds. */
const MAX_ADDED = 8;
/** Characters of a fact. */
const MAX_FACT = 500;

/**
 * Finds in a user's words what is worth remembering, by rules for English and Russian: names, places,
 * tastes, what the user asks to remember or to forget, and corrections of what is known. Understands
 * plain statements alone; what it does not understand it leaves out.
 */
export function distilByRules(text: string, known: readonly KnownFact[]): MemoryChange {
  const draft = createDraft(known);
  for (const sentence of sentencesOf(text.slice(0, MAX_READ).replaceAll("’", "'"))) {
    read(sentence, draft);
  }
  return draft.change();
}

type Draft = ReturnType<typeof createDraft>;

/** What is known, as the turn changes it. */
function createDraft(known: readonly KnownFact[]) {
  let facts: (NewFact & { readonly id?: string })[] = [...known];
  const drop = (isDropped: (fact: NewFact) => boolean) => {
    facts = facts.filter((fact) => !isDropped(fact));
  };
  return {
    drop,
    find: (matches: (fact: NewFact) => boolean) => facts.find(matches),
    set(fact: string, key: string, term: MemoryTerm = "long") {
      const line = tidy(fact).slice(0, MAX_FACT);
      if (facts.some((each) => each.fact.toLowerCase() === line.toLowerCase())) return;
      drop((each) => each.key === key);
      facts.push({ fact: line, key, term });
    },
    change(): MemoryChange {
      const ids = new Set(facts.map(({ id }) => id));
      return {
        add: facts.filter(({ id }) => id === undefined).slice(0, MAX_ADDED),
        remove: known.map(({ id }) => id).filter((id) => !ids.has(id)),
      };
    },
  };
}

type Sentence = { readonly text: string; readonly isQuestion: boolean };

function sentencesOf(text: string): readonly Sentence[] {
  return (text.match(/[^.!?…;\n]+(?:\.(?=\S)[^.!?…;\n]*)*[.!?…;\n]*/g) ?? []).map((part) => ({
    text: tidy(part.replace(/[.!?…;\n\s]+$/, "")),
    isQuestion: /\?/.test(part),
  }));
}

function read({ text, isQuestion }: Sentence, draft: Draft): void {
  const grammar = /\p{sc=Cyrillic}/u.test(text) ? russian : english;
  const said = withoutLeadIn(text, grammar);
  const asked = said.replace(grammar.request, "");
  const isRequest = asked !== said;
  if ((isQuestion && !isRequest) || grammar.supposes.test(said)) return;
  if (obey(asked, grammar, draft)) return;
  for (const clause of clausesOf(asked, grammar)) {
    if (obey(clause, grammar, draft)) continue;
    if (applyRules(clause, grammar, draft) || correct(clause, grammar, draft)) continue;
    if (!isQuestion && grammar.firstPerson.test(clause) && grammar.today.test(clause)) {
      draft.set(grammar.said(clause), `said:${normal(clause)}`, "short");
    }
  }
}

/** Whether it says what to do with the memory: then that is done. */
function obey(text: string, grammar: Grammar, draft: Draft): boolean {
  if (grammar.dontRemember.test(text)) return true;
  if (grammar.forgetAll.test(text)) {
    draft.drop(() => true);
    return true;
  }
  const toRemember = grammar.remember.exec(text)?.groups?.["rest"];
  const toForget = grammar.forget.exec(text)?.groups?.["rest"];
  if (toRemember !== undefined) remember(toRemember, grammar, draft);
  else if (toForget !== undefined) forget(toForget, grammar, draft);
  return toRemember !== undefined || toForget !== undefined;
}

function clausesOf(text: string, grammar: Grammar): readonly string[] {
  return text.split(grammar.joint).map((clause) => withoutLeadIn(clause, grammar));
}

/** Greetings, "no", "actually", "by the way". */
function withoutLeadIn(text: string, { leadIn }: Grammar): string {
  let rest = text;
  for (let shorter = rest.replace(leadIn, ""); shorter !== rest; ) {
    rest = shorter;
    shorter = rest.replace(leadIn, "");
  }
  return rest;
}

/** What the user asks to remember: by the rules where one applies, else as it was said. */
function remember(rest: string, grammar: Grammar, draft: Draft): void {
  if (grammar.vague.test(rest)) return;
  const others = clausesOf(rest, grammar).filter((clause) => !applyRules(clause, grammar, draft));
  if (others.length === 0) return;
  const note = others.join(", ");
  const term = grammar.today.test(note) ? "short" : "long";
  draft.set(grammar.note(note), `note:${normal(note)}`, term);
}

/** Drops what a statement would have set, or what is called by a name, or what has all these words. */
function forget(rest: string, grammar: Grammar, draft: Draft): void {
  const named = grammar.subjects.find(([pattern]) => pattern.test(rest))?.[1];
  const keys = grammar.rules.flatMap((rule) => matchOf(rest, rule, grammar)?.key ?? []);
  const all = named === undefined ? keys : [named];
  if (all.length > 0) draft.drop(({ key }) => key !== undefined && all.includes(key));
  else if (!grammar.vague.test(rest) && wordsOf(rest).length > 0) {
    draft.drop(({ fact }) => contains(fact, rest));
  }
}

function applyRules(clause: string, grammar: Grammar, draft: Draft): boolean {
  for (const rule of grammar.rules) {
    const match = matchOf(clause, rule, grammar);
    if (!match) continue;
    const { fact, key, value } = match;
    if (fact !== undefined) draft.set(fact, key);
    else draft.drop((each) => each.key === key && (!value || contains(each.fact, value)));
    return true;
  }
  return false;
}

/** "It's Anna, not Hannah": changes the fact that holds what was wrong, if there is one. */
function correct(clause: string, { corrections }: Grammar, draft: Draft): boolean {
  for (const pattern of corrections) {
    const { from, to } = pattern.exec(clause)?.groups ?? {};
    if (!from || !to || wordsOf(from).length === 0) continue;
    const wrong = draft.find(({ fact, key }) => key !== undefined && hasWords(fact, from));
    if (wrong?.key === undefined) continue;
    draft.set(
      wrong.fact.replace(from, () => to),
      wrong.key,
      wrong.term,
    );
    return true;
  }
  return false;
}

function hasWords(fact: string, words: string): boolean {
  const at = fact.indexOf(words);
  return at >= 0 && !/^[\p{L}\p{N}]/u.test(fact.slice(at + words.length));
}

function matchOf(clause: string, rule: Rule, grammar: Grammar) {
  const groups = rule.pattern.exec(clause)?.groups;
  if (!groups) return undefined;
  const value = groups["value"] && grammar.cut(groups["value"], rule.takes);
  if (groups["value"] && (!value || grammar.refuses(value, rule.takes))) return undefined;
  const found = { what: groups["what"]?.toLowerCase() ?? "", value: value ?? "" };
  return { key: rule.key(found), fact: rule.fact?.(found), value };
}

/** The words alone, in lower case: the same note twice is one. */
function normal(text: string): string {
  return wordsOf(text).join(" ").slice(0, 200);
}
