import type { Rule } from "../normalize/rule.ts";
import { cardinal, counted, number, quantity } from "./numbers.ts";

const currencies: Readonly<Record<string, readonly [string, string]>> = {
  "€": ["Euro", "Cent"],
  EUR: ["Euro", "Cent"],
  $: ["Dollar", "Cent"],
  USD: ["Dollar", "Cent"],
  "£": ["Pfund", "Pence"],
  CHF: ["Franken", "Rappen"],
  "¥": ["Yen", ""],
};
/** Amounts of money: 3,50 €. */
export const money: readonly Rule[] = [
  [
    new RegExp(String.raw`(${number})(?:,[-–—])? ?(€|EUR|\$|USD|£|CHF|¥)(?![\p{L}])`, "gu"),
    ([, amount, sign]) => priceOf(amount, sign),
  ],
  [
    new RegExp(String.raw`(€|\$|£|¥) ?(${number})`, "gu"),
    ([, sign, amount]) => priceOf(amount, sign),
  ],
];

function priceOf(amount: string, sign: string): string {
  const [unit] = currencies[sign] ?? [""];
  const [whole = "", cents] = amount.split(",");
  const units = ` ${counted(whole)} ${unit}`;
  if (cents === undefined || cents.length !== 2)
    return cents ? ` ${quantity(amount)} ${unit} ` : `${units} `;
  return Number(cents) === 0 ? `${units} ` : `${units} ${cardinal(String(Number(cents)))} `;
}

const units: Readonly<Record<string, string>> = {
  "km/h": "Kilometer pro Stunde",
  "m/s": "Meter pro Sekunde",
  "°C": "Grad Celsius",
  "°F": "Grad Fahrenheit",
  "°": "Grad",
  km: "Kilometer",
  cm: "Zentimeter",
  mm: "Millimeter",
  m: "Meter",
  kg: "Kilogramm",
  mg: "Milligramm",
  g: "Gramm",
  l: "Liter",
  ml: "Milliliter",
  kWh: "Kilowattstunden",
  kW: "Kilowatt",
  W: "Watt",
  V: "Volt",
  GB: "Gigabyte",
  MB: "Megabyte",
  TB: "Terabyte",
  kB: "Kilobyte",
  Hz: "Hertz",
  kHz: "Kilohertz",
  MHz: "Megahertz",
  GHz: "Gigahertz",
  "m²": "Quadratmeter",
  "km²": "Quadratkilometer",
  "m³": "Kubikmeter",
  "%": "Prozent",
  "‰": "Promille",
  min: "Minuten",
  h: "Stunden",
  s: "Sekunden",
  ms: "Millisekunden",
};
const unitNames = Object.keys(units)
  .sort((a, b) => b.length - a.length)
  .join("|");
/** Numbers with a unit: 5 km. */
export const quantities: readonly Rule[] = [
  [
    new RegExp(
      String.raw`(?<![\p{L}\d,.])([-−]?)(${number}) ?(${unitNames})(?![\p{L}\d²³/])`,
      "gu",
    ),
    ([, sign, amount, unit]) => `${sign && "minus "}${counted(amount)} ${units[unit] ?? unit} `,
  ],
];
