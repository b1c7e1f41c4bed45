import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSpeakable, type SentenceOptions, sentences } from "./sentences.ts";

async function* from(deltas: Iterable<string>): AsyncGenerator<string> {
  yield* deltas;
}

const cut = (deltas: Iterable<string>, options?: SentenceOptions) =>
  Array.fromAsync(sentences(from(deltas), options));

/** What stands between the bars are sentences; white space at a bar belongs to the one before. */
async function expectCut(marked: string, options?: SentenceOptions) {
  expect(await cut([marked.replaceAll("|", "")], options)).toEqual(marked.split("|"));
}

describe("sentences", () => {
  it.each([
    ["one word", "Yes"],
    ["no terminator", "well I do not know"],
    ["full stops, questions, exclamations", "Hello there. |How are you? |Fine! |Good"],
    ["terminators in a row", "Really?! |No way!!! |Said he?.. |Yes."],
    ["white space before the first word", "\n\n  Hello. |World"],
    ["line ends", "Two things:\n|- a horse\n|- a cow\n\n|That is all"],
    ["numbers of a list", "1. Open it.\n|2. Close it. |Then go."],
    ["Markdown", "**Bold.** |Plain. |*Thin!* |`x`"],
    ["emoji", "Great! |😊 Yes!👍🏽 |And 👩‍👩‍👧."],
  ])("cuts %s", (_, marked) => expectCut(marked));

  it.each([
    ["titles", "Dr. Smith met Mr. and Mrs. Jones in St. Petersburg. |They left."],
    ["Latin abbreviations", "Fruit, e.g. Apples, i.e. This vs. That, etc. and so on. |Done."],
    ["etc. before a capital", "Apples, pears, etc. |Then we left."],
    ["initials", "J. R. R. Tolkien and J.R.R. Tolkien of the U.S. Army. |Right."],
    ["numbered things", "See No. 5 and fig. 3 on p. 12, Jan. 5. |No. |I will not."],
    ["hours", "At 5 p.m. we eat. |At 6 p.m. |Then we sleep."],
    ["unknown short words before a small letter", "About a fathm. |A qty. of it. |End"],
    ["Russian", "Т.е. да, т.к. Он живёт в г. Москва на ул. Ленина. |В 1990 г. |Потом и т.д. |Всё."],
    ["German", "Tiere, z.B. Hunde, z. B. Katzen, d. h. alle usw. und so. |Ja."],
    ["Hindi", "डॉ. शर्मा आए। |ठीक है।"],
  ])("knows abbreviations: %s", (_, marked) => expectCut(marked));

  it.each([
    ["decimals and versions", "Pi is 3.14, this is 1.2.3. |It costs $3.50. |OK?"],
    ["addresses", "See https://a.example/b?c=d!e.html or mail x.y@z.co.uk now. |Node.js too."],
    ["addresses in Chinese", "看https://x.example/文?q=1吧。|好!|是"],
    ["file names", "Edit .env and main.ts. |Then run it."],
    ["full-width digits", "３．１４です。|はい。"],
  ])("leaves dots inside words alone: %s", (_, marked) => expectCut(marked));

  it.each([
    ["small letter", "Wait... what? |I am… not sure. |Hm.. no"],
    ["capital", "Wait... |What? |Hm… |Yes."],
    ["no white space", "Well...yes. |等等……然后。|好"],
  ])("ends at an ellipsis unless a sentence goes on: %s", (_, marked) => expectCut(marked));

  it.each([
    ["English", 'He said "Hello." |Then (Right.) |He left. |“Why?” |‘So.’ |Good'],
    ["a verb after them", "“Why?” she asked. |«Да!» сказал он. |Так"],
    ["French, German", "«Non.» |„Ja.“ |»Doch.« |Gut"],
    ["Chinese, Japanese", "“你好。”|他说。|“再见！”|「はい。」|（うん。）|そう"],
  ])("keeps closing quotes and brackets with the sentence: %s", (_, marked) => expectCut(marked));

  it.each([
    ["Chinese", "你好。|我在！|真的吗？|是的；好。|你好!|真的?|是"],
    ["Arabic, Urdu", "كيف حالك؟ |بخير. |شکریہ۔ |جی"],
    ["Hindi", "नमस्ते। |कैसे हैं? |ठीक॥ |हाँ"],
    ["Armenian, Ethiopic, Greek", "Բարեւ։ |ሰላም። |እንዴት፧ |Τι\u037e |Να"],
  ])("knows terminators of %s", (_, marked) => expectCut(marked));

  it("cuts a long first sentence behind a clause, and only the first", () =>
    expectCut(
      "It is a matter of 1,000 things, |of which two, three, or four, I know. |Yes, so, it, is.",
      {
        firstClauseAfter: 20,
      },
    ));

  it("cuts a first sentence behind a clause mark that no white space follows in Chinese", () =>
    expectCut("这是一个很长的句子，|它一直在继续，没有结束。|再见，好", { firstClauseAfter: 8 }));

  it("keeps what closes behind a clause mark with the clause", async () => {
    await expectCut("（这是一个很长的句子，）|再见", { firstClauseAfter: 8 });
    await expectCut('He said: "Long, long ago," |and then', { firstClauseAfter: 20 });
  });

  it("does not take 10:30, 1,000, 1，000 or a hyphenated dash for the end of a clause", () =>
    expectCut("At 10:30 and 1,000 and 1，000 and a—b the first clause, |ends", {
      firstClauseAfter: 2,
    }));

  it("goes on looking for a first clause until something was said", () =>
    expectCut("*** \n|Well then, |let us go, now.", { firstClauseAfter: 5 }));

  it("leaves the first sentence whole where nothing asks for clauses", () =>
    expectCut("It is a matter of many, many things, of which I know. |Yes."));

  it("bounds a run without an end, behind a clause, a word or a grapheme", async () => {
    const bounded = async (text: string) => (await cut([text])).map((piece) => piece.length);
    expect(await bounded(`${"word ".repeat(80)}so, ${"word ".repeat(60)}`)).toEqual([404, 300]);
    expect(await bounded("a word ".repeat(100))).toEqual([597, 103]);
    expect(await bounded("很".repeat(1000))).toEqual([600, 400]);
    expect(await bounded("👩‍👩‍👧!".repeat(80))).toEqual([594, 126]);
    expect(await bounded(`x${"\u0301".repeat(999)}`)).toEqual([600, 400]);
    expect(await bounded(`x${"😀".repeat(400)}`)).toEqual([599, 202]);
  });

  const words = fc.constantFrom(
    ...[
      "Dr",
      "e.g",
      "3",
      "14",
      "J",
      "г",
      "http://x",
      "yes",
      "No",
      "你好",
      "，",
      "。",
      "！",
      "»",
      "“",
    ],
    ...[
      ".",
      ".",
      "?",
      "!",
      "…",
      ",",
      ";",
      " ",
      " ",
      "\n",
      '"',
      ")",
      "*",
      "—",
      ":",
      "😀",
      "\ud83d",
      "\u0301",
    ],
  );
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(words, { maxLength: 40 }).map((list) => list.join("")),
    fc.array(words, { minLength: 700, maxLength: 900, size: "max" }).map((list) => list.join("")),
    fc.constantFrom("a", "a ", "!", "。", "\n", "😀", ". ").map((unit) => unit.repeat(900)),
  );
  const options = fc.record(
    { firstClauseAfter: fc.integer({ min: 0, max: 40 }) },
    { requiredKeys: [] },
  );

  it(
    "loses nothing and cuts the same wherever the deltas are cut, also inside pairs",
    () =>
      fc.assert(
        fc.asyncProperty(texts, options, fc.infiniteStream(fc.nat(9)), async (text, how, sizes) => {
          const deltas: string[] = [];
          for (let at = 0; at < text.length; ) {
            const size = sizes.next().value ?? 1;
            deltas.push(text.slice(at, at + size));
            at += size;
          }
          const whole = await cut([text], how);
          expect(whole.join("")).toBe(text);
          expect(whole.every((piece) => piece.length > 0 && piece.length <= 600)).toBe(true);
          expect(await cut(deltas, how)).toEqual(whole);
        }),
        { numRuns: 200 },
      ),
    30_000,
  );

  it("yields every sentence of a delta before it pulls the next delta", async () => {
    let pulled = 0;
    async function* deltas() {
      for (const delta of ["One. Two. Thr", "ee. F", "our."]) {
        pulled++;
        yield delta;
      }
    }
    const seen: [string, number][] = [];
    for await (const sentence of sentences(deltas())) seen.push([sentence, pulled]);
    expect(seen).toEqual([
      ["One. ", 1],
      ["Two. ", 1],
      ["Three. ", 2],
      ["Four.", 3],
    ]);
  });

  it("yields the text that arrived before it passes an error on", async () => {
    async function* broken() {
      yield "One. Two";
      throw new Error("gone");
    }
    const seen: string[] = [];
    const read = async () => {
      for await (const sentence of sentences(broken())) seen.push(sentence);
    };
    await expect(read()).rejects.toThrow("gone");
    expect(seen).toEqual(["One. ", "Two"]);
  });

  it("returns its source when its reader leaves", async () => {
    let returned = false;
    async function* endless() {
      try {
        for (;;) yield "On and on. ";
      } finally {
        returned = true;
      }
    }
    for await (const _ of sentences(endless())) break;
    expect(returned).toBe(true);
  });

  it("takes a number of steps in proportion to the text", async () => {
    // Quadratic work would take most of a minute for each.
    for (const unit of ["a", "!", "。", "\n", "“", "a.", ", "]) {
      expect((await cut(unit.repeat(20_000))).join("")).toBe(unit.repeat(20_000));
    }
  }, 30_000);
});

/** The longest time in milliseconds that this thread worked without a turn of the event loop. */
async function longestHold(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let over = false;
  const watch = async () => {
    for (let before = process.threadCpuUsage(); !over; before = process.threadCpuUsage()) {
      await new Promise((resolve) => setImmediate(resolve));
      const { user, system } = process.threadCpuUsage(before);
      longest = Math.max(longest, (user + system) / 1000);
    }
  };
  const watching = watch();
  await work();
  over = true;
  await watching;
  return longest;
}

describe("sentences, of texts that cost the most", () => {
  const units = [
    '"',
    "“",
    "(",
    ")",
    ".",
    ". ",
    "…",
    " ",
    "\n",
    "\u0301",
    "1",
    "1.",
    "😀",
    "👩‍👧",
    "w",
    "Dr. ",
  ];

  it.each(units)(
    "lets the event loop turn within 20 ms while it cuts %j × 64 KiB",
    // A collection of garbage in the middle counts as well; not every time.
    { retry: 3 },
    async (unit) => {
      const text = unit.repeat(65_536 / Buffer.byteLength(unit));
      const deltas = () => text.match(/.{1,4}/gs) ?? [];
      await longestHold(() => cut([text.slice(0, 4096)]));
      const holds = [await longestHold(() => cut([text])), await longestHold(() => cut(deltas()))];
      expect(Math.max(...holds)).toBeLessThan(20);
    },
  );
});

describe("isSpeakable", () => {
  it.each(["a", "5", "½", "я", "你", "ก", "- हाँ -", "①"])("is true of %s", (text) =>
    expect(isSpeakable(text)).toBe(true),
  );

  it.each(["", " ", "-", "!", "***\n", "…", "。", "😊", "$"])("is false of %j", (text) =>
    expect(isSpeakable(text)).toBe(false),
  );
});
