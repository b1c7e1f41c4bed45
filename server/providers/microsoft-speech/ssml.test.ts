import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readDocument } from "../../../emulators/microsoft-speech-messages.ts";
import { blankForbidden, buildSsml, escapeXml, unescapeXml } from "./ssml.ts";

const request = { voice: "en-US-AriaNeural", language: "en-US" };
/** Any UTF-16 there is, broken pairs and control characters too, with markup more often. */
const anyText = fc
  .array(fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("<", "&amp;", "]]>", "\ud800")))
  .map((pieces) => pieces.join(""));

describe("escapeXml", () => {
  it("is read back as it was, but for what XML forbids", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(unescapeXml(escapeXml(text))).toBe(blankForbidden(text));
      }),
    );
  });

  it("leaves no markup", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(escapeXml(text)).not.toMatch(/[<>"]|&(?!(?:amp|lt|gt|quot);)/);
      }),
    );
  });
});

describe("blankForbidden", () => {
  it("keeps every offset", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(blankForbidden(text)).toHaveLength(text.length);
      }),
    );
  });

  it("drops control characters and halves of pairs, and keeps the rest", () => {
    expect(blankForbidden("a\u0000b\ufffec\ud800d\u{1f600}\te")).toBe("a b c d\u{1f600}\te");
  });
});

describe("unescapeXml", () => {
  it("reads numeric references, and leaves what is none", () => {
    expect(unescapeXml("&#39;&#x1F600;&apos;&nbsp;&#x110000;")).toBe("'\u{1f600}'&nbsp;&#x110000;");
  });
});

describe("buildSsml", () => {
  it("makes a document that says the text and nothing else, whatever the text", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const document = readDocument(buildSsml({ ...request, text }));
        expect(document).toEqual({ ...request, text: blankForbidden(text), rate: undefined });
      }),
    );
  });

  it("lets neither the voice nor the language break out", () => {
    const ssml = buildSsml({ text: "x", voice: 'a"><break/>', language: '"><x' });
    expect(ssml).not.toContain("<break");
    expect(ssml).not.toContain("<x");
  });

  it.each([
    [0.5, "-50%"],
    [1, undefined],
    [1.25, "+25%"],
  ])("states a pace of %d as %s", (rate, stated) => {
    expect(readDocument(buildSsml({ ...request, text: "x", rate })).rate).toBe(stated);
  });
});
