import { spellDigits } from "./numbers.ts";
import { applyRules, type Rule } from "./rule.ts";

const between = (pattern: string) =>
  new RegExp(String.raw`(?<=[\w)\]'"] ?)${pattern}(?= ?[\w([$'"-])`, "g");

const rules: readonly Rule[] = [
  [/\b([A-Z])\/(?=[A-Z]\b)/g, ([, letter]) => `${letter} `],
  [/(?<=[\w)])²/g, () => " squared "],
  [/(?<=[\w)])³/g, () => " cubed "],
  [/[⁰¹²³⁴-⁹₀-₉]/g, ([sign]) => ` ${spellDigits(sign.normalize("NFKC"))} `],
  [/\s+/g, () => " "],
  [/<?[-=]+>|[→⇒⟶]/g, () => " to "],
  [/[←⇐]/g, () => " from "],
  [/&&/g, () => " and "],
  [/\|\|/g, () => " or "],
  [/!==?|≠/g, () => " is not equal to "],
  [/>=|≥/g, () => " is greater than or equal to "],
  [/<=|≤/g, () => " is less than or equal to "],
  [/={1,3}/g, () => " equals "],
  [/≈|(?<![\w~])~(?= ?[\w$€£])/g, () => " about "],
  [/±/g, () => " plus or minus "],
  [/(?<=\w)\+{2}/g, () => " plus plus "],
  [/(?<=\w)\+(?!\w|\s)/g, () => " plus "],
  [between(String.raw`\+`), () => " plus "],
  [/(?<!\S)\+(?=\w)/g, () => " plus "],
  [/×|(?<=\w )\*(?= \w)/g, () => " times "],
  [/÷/g, () => " divided by "],
  [between(">"), () => " is greater than "],
  [between("<"), () => " is less than "],
  [/√/g, () => " square root of "],
  [/∞/g, () => " infinity "],
  [/°/g, () => " degrees "],
  [/%/g, () => " percent "],
  [/&/g, () => " and "],
  [/@/g, () => " at "],
  [/#/g, () => " number "],
  [/©/g, () => " copyright "],
  [/®/g, () => " registered "],
  [/™/g, () => " trademark "],
  [/€/g, () => " euro "],
  [/£/g, () => " pound "],
  [/¥/g, () => " yen "],
  [/\$(?!\w)/g, () => " dollar "],
  [/(?<=\w)\/(?=\w)|(?<!\S)\/(?=\w)/g, () => " slash "],
  [/\\(?=\w)/g, () => " backslash "],
  [/(?<=\w)\.(?=[a-z])/g, () => " dot "],
  [/(?<!\S)\.(?=[A-Za-z])/g, () => " dot "],
  [/[:;|()[\]{}]/g, () => ", "],
];

/** Replaces symbols by their names: "&", "%", "=", "/"; and brackets and colons by pauses. */
export function normalizeSymbols(text: string): string {
  return applyRules(text, rules);
}
