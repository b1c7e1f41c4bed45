import { cardinal, spellDigits } from "./numbers.ts";
import { applyRules, type Rule } from "./rule.ts";

/** Top-level domains that are spelled; others ("com", "dev") are read as words. */
const spelledDomains = new Set([
  "io",
  "ai",
  "uk",
  "us",
  "tv",
  "eu",
  "de",
  "fr",
  "ru",
  "jp",
  "cn",
  "gg",
  "fm",
]);
const domains =
  "com|org|net|edu|gov|io|ai|dev|app|co|uk|us|de|fr|ru|jp|cn|eu|tv|info|me|gg|fm|sh|xyz";
const host = String.raw`(?:[A-Za-z0-9-]+\.)+(?:${domains})`;
const urlTail = String.raw`(?::\d{2,5})?(?:[/?#][^\s<>"']*)?`;

const addressRules: readonly Rule[] = [
  [/(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, ([mail]) => ` ${normalizeMail(mail)} `],
  [/\b(?:https?|wss?|ftp):\/\/[^\s<>"']+/gi, ([url]) => normalizeUrl(url)],
  [
    new RegExp(String.raw`(?<![\w@./-])(?:www\.[^\s<>"']+|${host}\b${urlTail})`, "gi"),
    ([url]) => normalizeUrl(url),
  ],
  [
    /\blocalhost(?::(\d+))?\b/g,
    ([, port]) => ` local host${port ? ` port ${spellDigits(port)}` : ""} `,
  ],
];

const codeRules: readonly Rule[] = [
  // 192.168.0.1, 1.2.3, v2
  [
    /(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{2,5}))?(?![\w.]\d)/g,
    ([, address, port]) =>
      ` ${address.split(".").map(cardinal).join(" dot ")}${port ? ` port ${spellDigits(port)}` : ""} `,
  ],
  [/\bv(\d+(?:\.\d+)*)(?![\w])/gi, ([, version]) => ` version ${normalizeVersion(version)} `],
  [/(?<![\w.])\d{1,3}(?:\.\d{3}){2,}(?![\w]|\.\d)/g, ([amount]) => amount.replaceAll(".", "")],
  [/(?<![\w.])(\d+(?:\.\d+){2,})(?![\w]|\.\d)/g, ([, version]) => ` ${normalizeVersion(version)} `],
  // 020 7946 0958, +1 (555) 123-4567, 555-123-4567, 555-1234, 123-45-6789
  [
    /(?<![\w-])(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])/g,
    ([number]) => normalizeGroups(number),
  ],
  [/(?<![\w.,-])0\d{2,4}[ -]\d{3,4}[ -]\d{3,4}(?![\w-])/g, ([number]) => normalizeGroups(number)],
  [/\+\d[\d() -]{5,18}\d(?![\w-])/g, ([number]) => normalizeGroups(number)],
  [/(?<![\w.-])\d{3}-\d{4}(?![\w-])/g, ([number]) => normalizeGroups(number)],
  [/(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])/g, ([number]) => normalizeGroups(number)],
  // An id of letters and digits: "a3f9c2d1", a UUID.
  [
    /(?<![\w-])[0-9a-f]{4,}(?:-[0-9a-f]{4,})*(?![\w-])/gi,
    ([all]) => (isId(all) ? ` ${spellMixed(all)} ` : all),
  ],
  // @name, #tag, #5
  [/(?<!\w)@(?=\w)/g, () => " at "],
  [/(?<!\w)#(?=\d)/g, () => " number "],
  [/\b([CF])#/g, ([, name]) => ` ${name} sharp `],
  [/(?<!\w)#(?=[A-Za-z])/g, () => " hashtag "],
];

function normalizeMail(mail: string): string {
  const [user = "", domain = ""] = mail.split("@");
  const spoken = user
    .replaceAll("_", " underscore ")
    .replaceAll("+", " plus ")
    .replaceAll("-", " dash ");
  return `${spoken.replaceAll(".", " dot ")} at ${normalizeHost(domain)}`;
}

/** Leaves out the scheme, "www" and the query. */
function normalizeUrl(found: string): string {
  const url = found.replace(/[.,;:!?)\]}*]+$/, "");
  const [, address = "", port = "", path = ""] =
    /^(?:\w+:\/\/)?(?:www\.)?([^/?#:]*)(?::(\d+))?([^?#]*)/i.exec(url) ?? [];
  const spokenPath = path
    .replace(/\/+$/, "")
    .replace(/%[0-9A-F]{2}/gi, " ")
    .replace(/\/+/g, " slash ");
  const spokenPort = port ? ` port ${spellDigits(port)}` : "";
  return ` ${normalizeHost(address)}${spokenPort} ${spokenPath.replaceAll(".", " dot ").replace(/[-_+=~]/g, " ")} ${found.slice(url.length)}`;
}

function normalizeHost(name: string): string {
  const labels = name.split(".").filter((label) => label !== "");
  const spoken = labels.map((label, at) =>
    at > 0 && spelledDomains.has(label.toLowerCase())
      ? Array.from(label.toUpperCase()).join(" ")
      : label.replaceAll("-", " dash "),
  );
  return spoken.join(" dot ");
}

function normalizeVersion(version: string): string {
  return version.split(".").map(cardinal).join(" point ");
}

/** Digit by digit, with a pause between groups. */
function normalizeGroups(found: string): string {
  const groups = found.replace("+", "plus ").match(/plus|\d+/g) ?? [];
  const spoken = groups.map((group) => (group === "plus" ? group : spellDigits(group)));
  return ` ${spoken.join(", ").replace("plus,", "plus")} `;
}

function isId(found: string): boolean {
  if (!/\d/.test(found) || !/[a-f]/i.test(found)) return false;
  const turns = found.match(/\d(?=[a-f])|[a-f](?=\d)/gi)?.length ?? 0;
  return turns >= 3 || found.length >= 16;
}

function spellMixed(id: string): string {
  return Array.from(id.toUpperCase(), (sign) => {
    if (sign === "-") return ",";
    if (sign === "A") return "ay";
    return /\d/.test(sign) ? spellDigits(sign) : sign;
  }).join(" ");
}

/** Normalizes mail and web addresses. */
export function normalizeAddresses(text: string): string {
  return applyRules(text, addressRules);
}

/** Normalizes versions, phone numbers, ids, and names with "@" or "#". Runs after dates. */
export function normalizeCodes(text: string): string {
  return applyRules(text, codeRules);
}
