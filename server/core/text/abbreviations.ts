import { isDigit, isLowerCase } from "./characters.ts";

/** Abbreviations that something always follows. */
const followed = words(`
  dr mr mrs ms mx prof hon rev gen col lt sgt capt cmdr adm maj gov sen pres messrs mme mlle st mt
  e.g i.e eg ie v vs cf viz approx ca incl excl resp al
  z z.b d.h u.a o.ä m.e i.d.r bzw evtl ggf inkl exkl zzgl vgl bspw sog hr fr
  sr sra srta dra ud uds p.ej p.ex sig dott bijv dhr mevr np tzn tj m.in
  т.е т.к т.н т.о напр г гг ул пл пер просп обл см ср проф акад св вул див
  डॉ
`);

/** Abbreviations that stand before a number: before anything else their dot ends the sentence. */
const numbered = words(`
  no nos nr num p pp vol vols fig figs ch chap sec sect art eq ed
  jan feb mar apr jun jul aug sep sept oct nov dec
  д кв стр рис гл п пп ст núm núms pág págs
`);

/** Those of them that are units, and may well end a sentence, after a number. */
const units = words("г гг см ms hr sec p");

/** A short word before a dot may be an abbreviation that no list knows. */
const longestUnknown = 4;
/** No abbreviation is longer: what is looked at before a dot is bounded. */
const longestWord = 24;

function words(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/u));
}

/**
 * Tells if a dot with white space behind it ends the sentence. `before` is the sentence up to the
 * dot, `next` the first character after the white space. In doubt it does not: two sentences spoken
 * as one sound better than one spoken as two.
 */
export function dotEnds(before: string, next: string): boolean {
  const near = before.slice(-longestWord);
  const word = /[\p{L}\p{M}\p{N}.]*$/u.exec(near)?.[0].toLowerCase() ?? "";
  if (isListMarker(before) || isInitial(near)) return false;
  if (units.has(word) && /\p{Nd}\s*$/u.test(near.slice(0, -word.length))) return !isLowerCase(next);
  if (followed.has(word)) return false;
  if (numbered.has(word) && isDigit(next)) return false;
  if (word.length > longestUnknown && !word.includes(".")) return true;
  return !isLowerCase(next);
}

/** "1." where a sentence begins: the number of an item in a list. */
function isListMarker(before: string): boolean {
  return before.length <= longestWord && /^[\s*_#>-]*\p{Nd}{1,3}$/u.test(before);
}

/** "J." or "J.R.R." or "U.S."; in scripts without capitals any single letter. */
function isInitial(near: string): boolean {
  return /(?<![\p{L}\p{M}\p{N}.])((\p{Lu}\p{M}*\.)*\p{Lu}|(?!\p{N})[\p{sc=Arab}\p{sc=Hebr}])\p{M}*$/u.test(
    near,
  );
}
