import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { renderAppcast } from "./appcast.ts";
import {
  type Channel,
  channels,
  parseManifest,
  type Release,
  type ReleaseFile,
} from "./manifest.ts";

/** Bytes that are served as they are, and their entity tag. */
export type Feed = { readonly bytes: Uint8Array<ArrayBuffer>; readonly etag: string };

/** The releases at one moment. */
type Catalog = {
  /** Highest build first. */
  readonly releases: readonly Release[];
  /** The files that may be downloaded, by name. No other name reaches the disk. */
  readonly files: ReadonlyMap<string, ReleaseFile>;
  /** By its name: all channels in `appcast.xml`, `stable` and `beta` in `appcast-beta.xml`. */
  readonly feeds: Readonly<Record<FeedName, Feed>>;
};

/** The names of the feeds. */
export type FeedName = "appcast.xml" | "appcast-beta.xml";

/** Where the releases are. */
export type CatalogOptions = {
  /** Manifests (`*.json`), the files they name, and signed feeds. It need not exist. */
  readonly folder: string;
  /** The address that clients reach the gateway at. Absent: addresses are relative to the feed's. */
  readonly baseUrl?: string;
  /** A manifest that cannot be read. The others are served. */
  readonly onError: (name: string, error: Error) => void;
};

/** The releases of a folder. */
export type Releases = {
  /** The catalog, at most `CHECK_EVERY_MS` old. The same object while the folder does not change. */
  read(): Promise<Catalog>;
  /** A file's address. */
  urlOf(name: string): string;
  readonly folder: string;
  /** How the last reading went. */
  status(): ReleasesStatus;
};

/** How the releases are, for `/status`. */
export type ReleasesStatus = {
  /** `degraded`: a manifest cannot be read, or the blob store. The others are served. */
  readonly state: "ok" | "degraded";
  readonly lastError?: string;
};

/** How often the folder is looked at, at most. */
const CHECK_EVERY_MS = 1000;

/** What each feed holds, and whether its items name their channel. */
const feedRules: Readonly<Record<FeedName, readonly [readonly Channel[], boolean]>> = {
  "appcast.xml": [channels, true],
  "appcast-beta.xml": [["stable", "beta"], false],
};

/** Opens the releases of a folder. It reads nothing before the first `read`. */
export function openReleases(options: CatalogOptions): Releases {
  const { folder, baseUrl = "" } = options;
  const urlOf = (name: string) =>
    `${baseUrl.replace(/\/$/, "")}/downloads/${encodeURIComponent(name)}`;
  let catalog: Promise<Catalog> | undefined;
  let damaged = false;
  let lastError: string | undefined;
  const onError = (name: string, error: Error) => {
    damaged = true;
    lastError = `${name} cannot be read`;
    options.onError(name, error);
  };
  let version: string | undefined;
  let checkedMs = Number.NEGATIVE_INFINITY;

  const refresh = async (before: Promise<Catalog> | undefined): Promise<Catalog> => {
    const now = await versionOf(folder);
    if (before !== undefined && now === version) return await before;
    version = now;
    damaged = false;
    return await readCatalog({ ...options, onError }, urlOf);
  };
  return {
    folder,
    urlOf,
    status: () => ({ state: damaged ? "degraded" : "ok", ...(lastError && { lastError }) }),
    async read() {
      if (catalog === undefined || performance.now() - checkedMs >= CHECK_EVERY_MS) {
        checkedMs = performance.now();
        catalog = refresh(catalog);
      }
      return await catalog;
    },
  };
}

/** What changes whenever a manifest or a signed feed does. */
async function versionOf(folder: string): Promise<string> {
  const names = (await namesIn(folder)).filter((name) => /\.(json|xml)$/.test(name));
  const versions = names.map(async (name) => {
    const found = await stat(join(folder, name), { bigint: true }).catch(() => undefined);
    return `${name} ${found?.ino} ${found?.mtimeNs} ${found?.size}`;
  });
  return (await Promise.all(versions)).join("\n");
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

async function readCatalog(
  options: CatalogOptions,
  urlOf: (name: string) => string,
): Promise<Catalog> {
  const releases = await readReleases(options.folder, options.onError);
  const feedOf = async (name: FeedName): Promise<Feed> => {
    const [inFeed, namesChannels] = feedRules[name];
    // A feed that was signed is served byte for byte.
    const signed = await readFile(join(options.folder, name)).catch(() => undefined);
    const made = () =>
      Buffer.from(renderAppcast(releases, { urlOf, channels: inFeed, namesChannels }));
    return toFeed(signed ?? made());
  };
  const files = releases.flatMap(({ artifact, deltas }) => [
    artifact,
    ...deltas.map((delta) => delta.artifact),
  ]);
  return {
    releases,
    files: new Map(files.map((file) => [file.name, file])),
    feeds: {
      "appcast.xml": await feedOf("appcast.xml"),
      "appcast-beta.xml": await feedOf("appcast-beta.xml"),
    },
  };
}

/** Reads the manifests of a folder, highest build first. `onError` gets those that cannot be read. */
export async function readReleases(
  folder: string,
  onError: CatalogOptions["onError"],
): Promise<readonly Release[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(".json"));
  const read = async (name: string) => {
    try {
      return [parseManifest(await readFile(join(folder, name), "utf8"))];
    } catch (error) {
      onError(name, error as Error);
      return [];
    }
  };
  const all = (await Promise.all(names.map(read))).flat();
  return all.sort((a, b) => b.build - a.build);
}

/** Bytes with the entity tag that belongs to them. */
export function toFeed(bytes: Uint8Array<ArrayBuffer>): Feed {
  return { bytes, etag: `"${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}"` };
}
