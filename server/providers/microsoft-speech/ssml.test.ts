import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readDocument } from "../../../emulators/microsoft-speech-messages.ts";
import { blankForbidden, buildSsml, escapeXml, unescapeXml } from "./ssml.ts";

const request = { voice: "en-US-AriaNeural", language: "en-US" };
/** Any UTF-16, including broken pairs and control characters, with extra markup. */
const anyText = fc
  .array(fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("<", "&amp;", "]]>", "\ud800")))
  .map((pieces) => pieces.join(""));

describe("escapeXml", () => {
  it("round-trips, except for what XML forbids", () => {
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

  it("replaces control characters and half surrogate pairs only", () => {
    expect(blankForbidden("a\u0000b\ufffec\ud800d\u{1f600}\te")).toBe("a b c d\u{1f600}\te");
  });
});

describe("unescapeXml", () => {
  it("resolves numeric references, and leaves the rest", () => {
    expect(unescapeXml("&#39;&#x1F600;&apos;&nbsp;&#x110000;")).toBe("'\u{1f600}'&nbsp;&#x110000;");
  });
});

describe("buildSsml", () => {
  it("builds a document that says exactly the text", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const document = readDocument(buildSsml({ ...request, text }));
        expect(document).toEqual({ ...request, text: blankForbidden(text) });
      }),
    );
  });

  it("escapes the voice and the language", () => {
    const ssml = buildSsml({ text: "x", voice: 'a"><break/>', language: '"><x' });
    expect(ssml).not.toContain("<break");
    expect(ssml).not.toContain("<x");
  });
});
