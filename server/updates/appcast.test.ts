import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeXml, renderAppcast } from "./appcast.ts";
import { parseManifest, type Release } from "./manifest.ts";

const signature = Buffer.alloc(64, 7).toString("base64");
const file = (name: string) => ({
  name,
  size: 10,
  sha256: "a".repeat(64),
  ed25519: signature,
});
const release = (more: object = {}): Release =>
  parseManifest(
    JSON.stringify({
      version: "1.2.3",
      build: 10_203,
      release_date: "2026-01-02T03:04:05.000Z",
      channel: "stable",
      critical: false,
      auto_install: false,
      artifact: { ...file("app.dmg"), type: "dmg", arch: "arm64", min_os: "12.0.0" },
      ...more,
    }),
  );
const render = (releases: readonly Release[], namesChannels = true) =>
  renderAppcast(releases, {
    urlOf: (name) => `https://updates.example/downloads/${name}`,
    channels: ["stable", "beta", "alpha"],
    namesChannels,
  });

describe("renderAppcast", () => {
  it("describes a release as Sparkle reads it", () => {
    expect(render([release()])).toBe(`<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle">
  <channel>
    <title>Updates</title>
    <item>
      <title>1.2.3</title>
      <pubDate>Fri, 02 Jan 2026 03:04:05 GMT</pubDate>
      <sparkle:version>10203</sparkle:version>
      <sparkle:shortVersionString>1.2.3</sparkle:shortVersionString>
      <sparkle:minimumSystemVersion>12.0.0</sparkle:minimumSystemVersion>
      <enclosure url="https://updates.example/downloads/app.dmg" length="10" type="application/x-apple-diskimage" sparkle:edSignature="${signature}" />
    </item>
  </channel>
</rss>
`);
  });

  it("names channel, critical, phases, notes and deltas", () => {
    const feed = render([
      release({
        channel: "beta",
        critical: true,
        phased_rollout_interval: 86_400,
        notes_url: "https://example.com/?a=1&b=2",
        notes: "<p>New & better]]></p>\u0001",
        deltas: [{ from_build: 10_202, artifact: file("app.delta") }],
      }),
    ]);
    for (const part of [
      "<sparkle:channel>beta</sparkle:channel>",
      "<sparkle:criticalUpdate />",
      "<sparkle:phasedRolloutInterval>86400</sparkle:phasedRolloutInterval>",
      "<sparkle:releaseNotesLink>https://example.com/?a=1&amp;b=2</sparkle:releaseNotesLink>",
      "<description>&lt;p&gt;New &amp; better]]&gt;&lt;/p&gt;</description>",
      `<enclosure url="https://updates.example/downloads/app.delta" length="10" type="application/octet-stream" sparkle:deltaFrom="10202" sparkle:edSignature="${signature}" />`,
    ]) {
      expect(feed).toContain(part);
    }
    expect(render([release({ channel: "beta" })], false)).not.toContain("sparkle:channel");
  });

  it("is a feed without items where there is no release", () => {
    expect(render([])).toMatch(/<channel>\s*<title>Updates<\/title>\s*<\/channel>/);
  });
});

describe("escapeXml", () => {
  it("leaves no markup and no character that XML forbids", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const escaped = escapeXml(text);
        expect(escaped).not.toMatch(/[<>"']|&(?!(amp|lt|gt|quot|apos);)/);
        expect(/[\p{Cc}\p{Cs}\ufffe\uffff]/u.test(escaped.replace(/[\t\n\r\x7f-\x9f]/g, ""))).toBe(
          false,
        );
      }),
    );
  });
});

describe("parseManifest", () => {
  it.each([
    ["a name with a path", { name: "../app.dmg" }, "artifact.name: must be a file's name"],
    ["a name with a slash", { name: "a/b" }, "artifact.name"],
    ["a hidden name", { name: ".app" }, "artifact.name"],
    ["a size of nothing", { size: 0 }, "artifact.size"],
    ["a short signature", { ed25519: "AAAA" }, "artifact.ed25519: must be 64 bytes"],
    ["two parts of a system", { min_os: "12.0" }, "artifact.min_os: must have three parts"],
    ["a field that there is not", { url: "https://x.example" }, "artifact"],
  ])("refuses %s", (_, more, problem) => {
    const { artifact } = release();
    expect(() => release({ artifact: { ...artifact, ...more } })).toThrow(problem);
  });
});
