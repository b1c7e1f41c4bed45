import anyAscii from "any-ascii";

/** Greek letters that stand by themselves are signs, not a foreign script. */
const greekNames: { readonly [letter: string]: string } = {
  α: "alpha",
  β: "beta",
  γ: "gamma",
  δ: "delta",
  ε: "epsilon",
  ζ: "zeta",
  η: "eta",
  θ: "theta",
  ι: "iota",
  κ: "kappa",
  λ: "lambda",
  ν: "nu",
  ξ: "xi",
  ο: "omicron",
  π: "pi",
  ρ: "rho",
  σ: "sigma",
  ς: "sigma",
  τ: "tau",
  υ: "upsilon",
  φ: "phi",
  χ: "chi",
  ψ: "psi",
  ω: "omega",
};

const ohms: { readonly [prefix: string]: string } = { k: "kiloohms", M: "megaohms" };

/**
 * Brings a text's letters and digits to ASCII: accents go ("café" becomes "cafe"), other scripts
 * are romanised. Signs such as "€" stay.
 */
export function toLatin(text: string): string {
  return nameGreekSigns(text.normalize("NFC")).replace(
    /(?:(?![a-zA-Z0-9µ²³¹⁰-₉¼-¾⅐-⅞])[\p{L}\p{M}\p{N}])+/gu,
    anyAscii,
  );
}

/** Brings everything to ASCII, signs too: "€" becomes "EUR". What has no likeness there goes. */
export function toAscii(text: string): string {
  return anyAscii(text);
}

/** True if more than half of the letters are of another script than Latin. */
export function isMostlyForeign(text: string): boolean {
  const named = nameGreekSigns(text.normalize("NFC"));
  const letters = named.match(/\p{L}/gu)?.length ?? 0;
  const latin = named.match(/(?=\p{L})\p{Script=Latin}/gu)?.length ?? 0;
  return letters > latin * 2;
}

/** "α" and "5 Ω", but not a Greek word. The micro sign stays for the unit after it. */
function nameGreekSigns(text: string): string {
  const alone = /(?<!\p{Script=Greek})\p{Script=Greek}(?!\p{Script=Greek})/gu;
  return text
    .replace(/(?<=\d ?)([kM]?)Ω/g, (_, prefix: string) => ` ${ohms[prefix] ?? "ohms"} `)
    .replace(/μ(?=[A-Za-z])/g, "µ")
    .replace(alone, (letter) => ` ${greekNames[letter.toLowerCase()] ?? letter} `);
}
