import anyAscii from "any-ascii";

/** Single Greek letters are symbols, not a foreign script. */
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
 * Converts letters and digits to ASCII: removes accents ("café" becomes "cafe") and transliterates
 * other scripts. Keeps symbols such as "€".
 */
export function toLatin(text: string): string {
  return nameGreekSymbols(text.normalize("NFC")).replace(
    /(?:(?![a-zA-Z0-9µ²³¹⁰-₉¼-¾⅐-⅞])[\p{L}\p{M}\p{N}])+/gu,
    anyAscii,
  );
}

/** Converts everything to ASCII: "€" becomes "EUR". Drops what has no equivalent. */
export function toAscii(text: string): string {
  return anyAscii(text);
}

/** True if more than half of the letters are not Latin. */
export function isMostlyForeign(text: string): boolean {
  const named = nameGreekSymbols(text.normalize("NFC"));
  const letters = named.match(/\p{L}/gu)?.length ?? 0;
  const latin = named.match(/(?=\p{L})\p{Script=Latin}/gu)?.length ?? 0;
  return letters > latin * 2;
}

/** Names "α" and "5 Ω", but not letters of Greek words. Keeps the micro sign of units. */
function nameGreekSymbols(text: string): string {
  const alone = /(?<!\p{Script=Greek})\p{Script=Greek}(?!\p{Script=Greek})/gu;
  return text
    .replace(/(?<=\d ?)([kM]?)Ω/g, (_, prefix: string) => ` ${ohms[prefix] ?? "ohms"} `)
    .replace(/μ(?=[A-Za-z])/g, "µ")
    .replace(alone, (letter) => ` ${greekNames[letter.toLowerCase()] ?? letter} `);
}
