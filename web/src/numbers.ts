import { locale } from "./messages.ts";

const two = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat(locale, { style: "percent" });
const whole = new Intl.NumberFormat(locale);

/** Milliseconds as seconds with two places: 0.11. */
export function seconds(ms: number): string {
  return two.format(ms / 1000);
}

/** Seconds as minutes and seconds: 1:05. */
export function duration(secondsLong: number): string {
  const all = Math.round(secondsLong);
  return `${Math.floor(all / 60)}:${String(all % 60).padStart(2, "0")}`;
}

/** A whole number: 65,536. */
export function count(number: number): string {
  return whole.format(number);
}

/** A share of 0 to 1 as a percentage: 12 %. */
export function share(number: number): string {
  return percent.format(number);
}
