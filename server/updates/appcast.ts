import { type Channel, mediaTypeOf, type Release, type ReleaseFile } from "./manifest.ts";

/** How a feed is made. */
export type AppcastOptions = {
  /** A file's address. It comes from the settings, never from a request. */
  readonly urlOf: (name: string) => string;
  /** Channels whose releases are in the feed. */
  readonly channels: readonly Channel[];
  /** Whether items name their channel. Without it, every reader of the feed takes each of them. */
  readonly namesChannels: boolean;
};

/** A feed for Sparkle, newest build first. The same releases make the same bytes. */
export function renderAppcast(releases: readonly Release[], options: AppcastOptions): string {
  const items = releases
    .filter(({ channel }) => options.channels.includes(channel))
    .map((release) => renderItem(release, options));
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    '<rss version="2.0" xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle">',
    "  <channel>",
    "    <title>Updates</title>",
    ...items,
    "  </channel>",
    "</rss>",
    "",
  ].join("\n");
}

function renderItem(release: Release, { urlOf, namesChannels }: AppcastOptions): string {
  const { artifact, deltas, channel } = release;
  const lines = [
    element("title", release.version),
    element("pubDate", new Date(release.release_date).toUTCString()),
    element("sparkle:version", String(release.build)),
    element("sparkle:shortVersionString", release.version),
    element("sparkle:minimumSystemVersion", artifact.min_os),
    namesChannels && channel !== "stable" && element("sparkle:channel", channel),
    release.critical && "<sparkle:criticalUpdate />",
    release.phased_rollout_interval !== undefined &&
      element("sparkle:phasedRolloutInterval", String(release.phased_rollout_interval)),
    release.notes_url !== undefined && element("sparkle:releaseNotesLink", release.notes_url),
    release.notes !== undefined && element("description", release.notes),
    enclosure(artifact, urlOf),
    ...renderDeltas(deltas, urlOf),
  ];
  const body = lines.filter((line) => line !== false).map((line) => `      ${line}`);
  return ["    <item>", ...body, "    </item>"].join("\n");
}

function renderDeltas(
  deltas: Release["deltas"],
  urlOf: AppcastOptions["urlOf"],
): readonly string[] {
  if (deltas.length === 0) return [];
  const enclosures = deltas.map(
    (delta) => `  ${enclosure(delta.artifact, urlOf, ` sparkle:deltaFrom="${delta.from_build}"`)}`,
  );
  return ["<sparkle:deltas>", ...enclosures, "</sparkle:deltas>"];
}

function enclosure(
  { name, size, ed25519 }: ReleaseFile,
  urlOf: AppcastOptions["urlOf"],
  more = "",
): string {
  const url = escapeXml(urlOf(name));
  const type = mediaTypeOf(name);
  return `<enclosure url="${url}" length="${size}" type="${type}"${more} sparkle:edSignature="${escapeXml(ed25519)}" />`;
}

function element(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Escapes text for XML, and drops characters that XML forbids. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "")
    .replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
