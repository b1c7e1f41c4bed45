import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toLatin } from "./latin.ts";
import { normalizeText } from "./normalize.ts";

const rows: { readonly [group: string]: readonly (readonly [text: string, spoken: string])[] } = {
  numbers: [
    ["1,234", "one thousand two hundred thirty four"],
    ["3.14", "three point one four"],
    ["0.5", "zero point five"],
    ["It is -5 outside.", "it is minus five outside."],
    ["1st 2nd 3rd 21st", "first second third twenty first"],
    [
      "12,345,678.90",
      "twelve million three hundred forty five thousand six hundred seventy eight point nine zero",
    ],
    ["007", "zero zero seven"],
    ["1000000", "one million"],
    ["1234567890", "one two three four five six seven eight nine zero"],
    ["pages 5-10", "pages five to ten"],
    ["10–20", "ten to twenty"],
    ["a 5-year-old", "a five year old"],
    ["½ and 2½ and 1/3", "one half and two and a half and one third"],
    ["3/4 of 2 1/2", "three quarters of two and a half"],
    ["a 3:2 ratio", "a three to two ratio"],
    ["6.02e23", "six point zero two times ten to the power of twenty three"],
    ["5 + 3 = 8", "five plus three equals eight"],
    ["10 - 3 = 7", "ten minus three equals seven"],
    ["2 * 3, 8 / 2, 2^10", "two times three, eight divided by two, two to the power of ten"],
    ["24/7", "twenty four seven"],
    ["10k users, a 7B model", "ten thousand users, a seven billion model"],
    [
      "10x faster at 1920x1080",
      "ten times faster at one thousand nine hundred twenty by ten eighty",
    ],
    ["x² + y³", "x squared plus y cubed"],
    ["²", "two"],
    ["7", "seven"],
    ["٣", "three"],
  ],
  years: [
    ["in 1999 and 2026", "in nineteen ninety nine and twenty twenty six"],
    ["1500 people in 1066", "one thousand five hundred people in ten sixty six"],
    ["the 1990s and the '80s", "the nineteen nineties and the eighties"],
    ["1999-2003", "nineteen ninety nine to two thousand three"],
    ["1905", "nineteen oh five"],
  ],
  "dates and times": [
    ["2026-11-21", "november twenty first, twenty twenty six"],
    ["11/21/2026", "november twenty first, twenty twenty six"],
    ["21.11.2026", "november twenty first, twenty twenty six"],
    ["Nov 21, 2026", "november twenty first, twenty twenty six"],
    ["21 November 2026", "november twenty first, twenty twenty six"],
    ["Jan. 1st", "january first"],
    ["2026-11-21T17:05:00Z", "november twenty first, twenty twenty six at seventeen oh five u t c"],
    ["Meet at 5:30 p.m.", "meet at five thirty p m."],
    ["at 5:30 p.m. and then", "at five thirty p m and then"],
    ["9am-5pm, Mon-Fri", "nine ay m to five p m, monday to friday"],
    ["10:00–11:30", "ten o'clock to eleven thirty"],
    ["17:05", "seventeen oh five"],
  ],
  money: [
    ["$3.50", "three dollars and fifty cents"],
    ["$1 or $0.99 or 5¢", "one dollar or ninety nine cents or five cents"],
    ["€20, £5.01, ¥500", "twenty euros, five pounds and one penny, five hundred yen"],
    ["$5M and $1.2 billion", "five million dollars and one point two billion dollars"],
    ["$1,234.56", "one thousand two hundred thirty four dollars and fifty six cents"],
    ["-$5", "minus five dollars"],
    ["$10-20/month", "ten to twenty dollars per month"],
    ["3,50 € or 20 EUR", "three euros and fifty cents or twenty euros"],
  ],
  units: [
    ["1 km and 5-10 km", "one kilometer and five to ten kilometers"],
    ["20°C, -40°F", "twenty degrees celsius, minus forty degrees fahrenheit"],
    ["60 mph", "sixty miles per hour"],
    ["16GB RAM", "sixteen gigabytes ram"],
    ["99.9%", "ninety nine point nine percent"],
    ["5 m² at 9.8 m/s²", "five square meters at nine point eight meters per second squared"],
    ["5 Ω and 5 µm", "five ohms and five micrometers"],
    [`6'2"`, "six feet two inches"],
    ["ETA: 5 min.", "e t ay, five minutes."],
  ],
  "short forms": [
    ["Dr. Smith lives on Elm Dr.", "doctor smith lives on elm drive."],
    ["Mr. and Mrs. Jones of St. Louis", "mister and missus jones of saint louis"],
    ["e.g. this, i.e. that, etc.", "for example, this, that is, that, et cetera."],
    ["Cats vs. dogs.", "cats versus dogs."],
    ["No. 5 or №5, but No.", "number five or number five, but no."],
    ["J. K. Rowling, Ph.D.", "j k rowling, p h d."],
    ["The U.S. has 50 states.", "the u s has fifty states."],
  ],
  words: [
    ["NASA and the FBI read JSON APIs.", "nasa and the f b i read jason ay p i's."],
    ["THIS IS VERY IMPORTANT", "this is very important"],
    ["getUserName, snake_case, HTTPServer", "get user name, snake case, h t t p server"],
    ["iPhone, YouTube, McDonald's", "i phone, you tube, mcdonald's"],
    ["GPT-4, mp3, H2O, COVID-19", "g p t four, mp three, h two o, covid nineteen"],
    ["World War II", "world war two"],
    ["A dog. Plan A.", "a dog. plan ay."],
    ["a", "ay"],
    ["it's a rock 'n' roll o'clock", "it's a rock n roll o'clock"],
    ["café naïve São", "cafe naive sao"],
    ["well-known", "well known"],
    ["ß", "ss"],
  ],
  signs: [
    ["Q&A, AT&T", "q and ay, at and t"],
    ["C++ and C#", "c plus plus and c sharp"],
    ["a < b, c >= d", "a is less than b, c is greater than or equal to d"],
    ["he/she and/or w/o", "he slash she and or without"],
    ["~5 ± 2", "about five plus or minus two"],
    ["© 2026 Foo™", "copyright twenty twenty six foo trademark"],
    ["#1, #winning, @you", "number one, hashtag winning, at you"],
    ["(yes) [no] {maybe}", "yes, no, maybe,"],
    ["“Smart” quotes—and dashes – here…", "smart quotes, and dashes, here."],
    ["What?! No...", "what? no."],
  ],
  addresses: [
    ["a.b@c.io", "a dot b at c dot i o"],
    [
      "See https://www.example.com/docs/a_page?x=1.",
      "see example dot com slash docs slash a page.",
    ],
    ["example.com:8080", "example dot com port eight zero eight zero"],
    ["192.168.0.1", "one hundred ninety two dot one hundred sixty eight dot zero dot one"],
    ["v1.2.3 and Node.js", "version one point two point three and node dot js"],
    [
      "Call +1 (555) 123-4567.",
      "call plus one, five five five, one two three, four five six seven.",
    ],
    ["a3f9c2d1", "ay three f nine c two d one"],
    ["/usr/local", "slash usr slash local"],
  ],
  markup: [
    ["**bold** `code` _it_ ~~gone~~", "bold code it gone"],
    ["# Heading\n\n- one\n- two", "heading. one two"],
    ["1. First\n2. Second", "one, first two, second"],
    ["[text](https://example.com/a_(b))", "text"],
    ["> quote\n\n---\n\nafter", "quote. after"],
    ["| a | b |\n|---|---|\n| c | d |", "a, b. c, d,"],
    ["a<br/>b &amp; c", "a b and c"],
    ["Hi 😀👨‍👩‍👧🇺🇸 there 1️⃣", "hi there one"],
    ["As said[1][^2].", "as said."],
  ],
};

describe("normalizeText", () => {
  it("reads words that JavaScript has a meaning for", () =>
    expect(normalizeText("The constructor, valueOf and __proto__.")).toBe(
      "the constructor, value of and proto.",
    ));

  for (const [group, table] of Object.entries(rows)) {
    it.each(table)(`writes ${group} out: %s`, (text, spoken) =>
      expect(normalizeText(toLatin(text))).toBe(spoken),
    );
  }

  it("leaves only words and marks, whatever it is given", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme" }),
      written(),
    );
    fc.assert(
      fc.property(text, (anything) => {
        expect(normalizeText(toLatin(anything))).toMatch(
          /^(?:[a-z]+(?:'[a-z]+)*[,.!?]?(?: (?!$)|$))*$/,
        );
      }),
      { numRuns: 200 },
    );
  });

  it("leaves something to say of every text with an ASCII letter or digit outside of mark-up", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]*[A-Za-z0-9][ -~]*$/), (text) => {
        fc.pre(!/[<[`|~#*_(:;=]/.test(text));
        expect(normalizeText(text)).toMatch(/[a-z]/);
      }),
      { numRuns: 500 },
    );
  });

  it("takes no longer than proportional to the text's length", { retry: 2 }, () => {
    const unit = [
      "'",
      "😀",
      "[",
      "=",
      "1:",
      "a@",
      "<a ",
      "½",
      "$5 ",
      "a1",
      "1-",
      " ",
      "\n",
      "_",
      "U.",
    ];
    for (const part of unit) normalizeText(part.repeat(300));
    for (const part of unit) {
      const from = performance.now();
      normalizeText(part.repeat(600 / part.length));
      expect(performance.now() - from, part).toBeLessThan(100);
    }
  });
});

/** Texts of the pieces that rules look for, in any order. */
function written(): fc.Arbitrary<string> {
  const pieces = [
    "$",
    "5",
    ".",
    ",",
    "-",
    ":",
    "/",
    " ",
    "p.m.",
    "Dr.",
    "km",
    "%",
    "A",
    "a'",
    "'s",
    "https://",
  ];
  return fc
    .array(fc.constantFrom(...pieces, "№", "½", "²", "é", "я", "`", "*", "\n"), { maxLength: 30 })
    .map((chosen) => chosen.join(""));
}
