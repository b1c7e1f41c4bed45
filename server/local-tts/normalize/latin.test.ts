import { describe, expect, it } from "vitest";
import { isMostlyForeign, toLatin } from "./latin.ts";

describe("toLatin", () => {
  it.each([
    ["Café naïve, São Łódź", "Cafe naive, Sao Lodz"],
    ["e\u0301te\u0301", "ete"],
    ["Привет, мир", "Privet, mir"],
    ["Ⅷ ٣ Ｆｕｌｌ", "VIII 3 Full"],
    ["€5 ½ ² ™ “x”", "€5 ½ ² ™ “x”"],
    ["α is 5 Ω", " alpha  is 5  ohms "],
    ["5 μm", "5 µm"],
    ["Ελλάδα", "Ellada"],
  ])("transliterates letters and digits, and keeps symbols: %s", (text, latin) =>
    expect(toLatin(text)).toBe(latin),
  );
});

describe("isMostlyForeign", () => {
  it.each(["Привет, мир", "你好", "Привет, dear мир", "שלום"])("is true of %s", (text) =>
    expect(isMostlyForeign(text)).toBe(true),
  );

  it.each(["Hello", "7", "5 Ω", "π", "№5", "The word привет means hello.", "ça va", "ab яж"])(
    "is false of %s",
    (text) => expect(isMostlyForeign(text)).toBe(false),
  );
});
