import { describe, expect, it } from "vitest";
import { normalizeGerman } from "./normalize.ts";

describe("normalizeGerman", () => {
  it.each([
    [
      "Am 3.10.2026 kostet es 3,50 €.",
      "am dritten oktober zweitausendsechsundzwanzig kostet es drei euro fünfzig.",
    ],
    ["Heute ist der 3.10.", "heute ist der dritte oktober."],
    ["Am 24. Dezember, von 10-12 Uhr.", "am vierundzwanzigsten dezember, von zehn bis zwölf uhr."],
    ["2026-10-03", "dritter oktober zweitausendsechsundzwanzig"],
    ["Der Zug um 15:30 Uhr.", "der zug um fünfzehn uhr dreißig."],
    [
      "Es sind -3,5 °C und 80 km/h.",
      "es sind minus drei komma fünf grad celsius und achtzig kilometer pro stunde.",
    ],
    [
      "Dr. Müller wohnt z. B. in der Goethestr. 12.",
      "doktor müller wohnt zum beispiel in der goethestraße zwölf.",
    ],
    ["Der 2. Weltkrieg endete 1945.", "der zweite weltkrieg endete neunzehnhundertfünfundvierzig."],
    [
      "21 Kinder, 101 Hunde, 1.234 Vögel",
      "einundzwanzig kinder, einhunderteins hunde, eintausendzweihundertvierunddreißig vögel",
    ],
    ["3/4 der Gäste, 50 %", "drei viertel der gäste, fünfzig prozent"],
    ["1 € oder 1,01 €", "ein euro oder ein euro eins"],
    [
      "Rufen Sie 030 1234567 an!",
      "rufen sie null drei null eins zwei drei vier fünf sechs sieben an!",
    ],
    ["5 + 3 = 8", "fünf plus drei gleich acht"],
    ["Ein LKW & Co.", "ein ell kah weh und co."],
    ["**Wichtig**: [hier](https://x.de)", "wichtig, hier"],
    ["Café à la carte", "cafe a la carte"],
    ["— 😀 …", ""],
  ])("%s", (text, spoken) => expect(normalizeGerman(text)).toBe(spoken));

  it("writes only letters of German, spaces and marks, whatever comes", () => {
    const odd =
      "Ça 猫 ½ №5 \u0000 x² €5 12.345.678,90 §3 a/b 1:2 99999999999999999999 3.13.2026 Æsop";
    expect(normalizeGerman(odd)).toMatch(/^[a-zäöüß ,.!?]+$/);
  });
});
