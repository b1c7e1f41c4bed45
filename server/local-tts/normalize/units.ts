import { numberPattern as number, plural, quantity } from "./numbers.ts";
import { applyRules, type Rule } from "./rule.ts";

const units: { readonly [unit: string]: readonly [one: string, many: string] } = {
  km: ["kilometer", "kilometers"],
  m: ["meter", "meters"],
  cm: ["centimeter", "centimeters"],
  mm: ["millimeter", "millimeters"],
  µm: ["micrometer", "micrometers"],
  nm: ["nanometer", "nanometers"],
  mi: ["mile", "miles"],
  ft: ["foot", "feet"],
  yd: ["yard", "yards"],
  kg: ["kilogram", "kilograms"],
  g: ["gram", "grams"],
  mg: ["milligram", "milligrams"],
  µg: ["microgram", "micrograms"],
  lb: ["pound", "pounds"],
  lbs: ["pound", "pounds"],
  oz: ["ounce", "ounces"],
  l: ["liter", "liters"],
  L: ["liter", "liters"],
  ml: ["milliliter", "milliliters"],
  mL: ["milliliter", "milliliters"],
  ha: ["hectare", "hectares"],
  "sq ft": ["square foot", "square feet"],
  "sq mi": ["square mile", "square miles"],
  "km/h": ["kilometer per hour", "kilometers per hour"],
  kph: ["kilometer per hour", "kilometers per hour"],
  mph: ["mile per hour", "miles per hour"],
  "m/s": ["meter per second", "meters per second"],
  kB: ["kilobyte", "kilobytes"],
  KB: ["kilobyte", "kilobytes"],
  MB: ["megabyte", "megabytes"],
  GB: ["gigabyte", "gigabytes"],
  TB: ["terabyte", "terabytes"],
  PB: ["petabyte", "petabytes"],
  KiB: ["kibibyte", "kibibytes"],
  MiB: ["mebibyte", "mebibytes"],
  GiB: ["gibibyte", "gibibytes"],
  kbps: ["kilobit per second", "kilobits per second"],
  Mbps: ["megabit per second", "megabits per second"],
  Gbps: ["gigabit per second", "gigabits per second"],
  "MB/s": ["megabyte per second", "megabytes per second"],
  Hz: ["hertz", "hertz"],
  kHz: ["kilohertz", "kilohertz"],
  MHz: ["megahertz", "megahertz"],
  GHz: ["gigahertz", "gigahertz"],
  h: ["hour", "hours"],
  hr: ["hour", "hours"],
  hrs: ["hour", "hours"],
  min: ["minute", "minutes"],
  mins: ["minute", "minutes"],
  s: ["second", "seconds"],
  sec: ["second", "seconds"],
  secs: ["second", "seconds"],
  ms: ["millisecond", "milliseconds"],
  µs: ["microsecond", "microseconds"],
  ns: ["nanosecond", "nanoseconds"],
  V: ["volt", "volts"],
  mV: ["millivolt", "millivolts"],
  W: ["watt", "watts"],
  kW: ["kilowatt", "kilowatts"],
  MW: ["megawatt", "megawatts"],
  kWh: ["kilowatt hour", "kilowatt hours"],
  mA: ["milliamp", "milliamps"],
  cal: ["calorie", "calories"],
  kcal: ["kilocalorie", "kilocalories"],
  dB: ["decibel", "decibels"],
  px: ["pixel", "pixels"],
  fps: ["frame per second", "frames per second"],
  rpm: ["revolution per minute", "revolutions per minute"],
  "°C": ["degree Celsius", "degrees Celsius"],
  "°F": ["degree Fahrenheit", "degrees Fahrenheit"],
  "°": ["degree", "degrees"],
  "%": ["percent", "percent"],
  "‰": ["per mille", "per mille"],
  "¢": ["cent", "cents"],
};
const powerPrefixes: { readonly [power: string]: string } = { "²": "square ", "³": "cubic " };
const powerSuffixes: { readonly [power: string]: string } = { "²": " squared", "³": " cubed" };
const unit = Object.keys(units)
  .toSorted((a, b) => b.length - a.length)
  .join("|");

const rules: readonly Rule[] = [
  // 6'2"
  [
    /\b(\d)'\s?(\d{1,2})(?:"|'')/g,
    ([, feet, inches]) =>
      ` ${quantity(feet)} ${plural(feet, "foot", "feet")} ${quantity(inches)} ${plural(inches, "inch", "inches")} `,
  ],
  [
    /\b(\d{1,3})h\s?(\d{1,2})m(?:in)?\b/g,
    ([, hours, minutes]) =>
      ` ${quantity(hours)} ${plural(hours, "hour", "hours")} ${quantity(minutes)} ${plural(minutes, "minute", "minutes")} `,
  ],
  // 5-10 km: the second number is normalized with its unit, the first as a range
  [
    new RegExp(
      String.raw`(?<![\w.,])(${number})\s?-\s?(${number})(?=[\s-]?(?:${unit})(?![A-Za-z0-9µ]))`,
      "g",
    ),
    ([, from, to]) => ` ${quantity(from)} to ${to}`,
  ],
  [
    new RegExp(String.raw`(?<![\w.])(-?)(${number})[\s-]?(${unit})([²³]?)(?![A-Za-z0-9µ/])`, "g"),
    ([, minus, amount, name, power]) =>
      ` ${minus ? "minus " : ""}${normalizeUnit(amount, name, power)} `,
  ],
  // 1920x1080, 10x faster
  [/\b(\d+)\s?[x×]\s?(?=\d)/g, ([, size]) => ` ${quantity(size)} by `],
  [/\b(\d+(?:\.\d+)?)x\b/g, ([, times]) => ` ${quantity(times)} times `],
];

function normalizeUnit(amount = "", name = "", power = ""): string {
  const [one, many] = units[name] ?? [name, name];
  const spoken = plural(amount, one, many);
  const isRate = spoken.includes(" per ");
  const prefix = isRate ? "" : (powerPrefixes[power] ?? "");
  const suffix = isRate ? (powerSuffixes[power] ?? "") : "";
  return `${quantity(amount)} ${prefix}${spoken}${suffix}`;
}

/** Normalizes amounts with a unit, including percent, degrees and sizes ("1920x1080"). */
export function normalizeUnits(text: string): string {
  return applyRules(text, rules);
}
