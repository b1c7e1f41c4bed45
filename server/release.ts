// Publishes releases: `npm run release -- add FILE --version 1.2.3 --key KEYFILE`.
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { InvalidConfig, readConfig } from "./config/config.ts";
import { addDelta, addRelease, type NewFile } from "./updates/add-release.ts";
import { type FeedName, openReleases } from "./updates/catalog.ts";
import { buildOf, type Channel, channels } from "./updates/manifest.ts";
import { openReleaseMirror } from "./updates/release-mirror.ts";
import { parsePrivateKey, parsePublicKey } from "./updates/signing.ts";

const usage = `Usage:
  npm run release -- add FILE --version 1.2.3 (--key KEYFILE | --signature TEXT) [options]
      Checks the file and its Ed25519 signature, and publishes both with a manifest.
  npm run release -- delta FILE --version 1.2.3 --from BUILD (--key KEYFILE | --signature TEXT)
      Adds a delta from an older build to a release.
  npm run release -- withdraw --version 1.2.3
      Withdraws a release: its manifest goes, its files stay.
  npm run release -- list
      Prints the releases.
  npm run release -- feed [--channel beta]
      Prints the feed, to be signed elsewhere.
  npm run release -- signed-feed FILE [--channel beta]
      Publishes a signed feed, which is then served byte for byte.

Options:
  --key KEYFILE         private key: PEM, or 32 bytes in base64. Keep it off the gateway's machine.
  --signature TEXT      a signature in base64, or the line that Sparkle's sign_update prints
  --public-key KEYFILE  the key that the signature must be of; needed with the first --signature
  --length BYTES        the length that the file must have
  --name NAME           the name to publish the file by
  --build N             major*10000 + minor*100 + patch, if absent
  --channel NAME        ${channels.join(", ")}
  --critical  --auto-install
  --notes FILE          release notes in HTML
  --notes-url URL       the address of the release notes
  --phased-hours N      hours from one seventh of the users to the next
  --arch NAME           universal, if absent
  --min-os VERSION      10.13.0, if absent
  --type NAME           the file's ending, if absent

Releases are published in the folder UPDATE_DIR (unset: updates under DATA_DIR), or with
UPDATE_SOURCE=blobs in BLOB_STORE. A running gateway notices changes by itself.
`;

const text = { type: "string" } as const;
const options = {
  version: text,
  key: text,
  signature: text,
  "public-key": text,
  length: text,
  name: text,
  build: text,
  channel: text,
  critical: { type: "boolean" },
  "auto-install": { type: "boolean" },
  notes: text,
  "notes-url": text,
  "phased-hours": text,
  arch: text,
  "min-os": text,
  type: text,
  from: text,
  help: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseArguments>["values"];

function parseArguments(args: readonly string[]) {
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

async function run(args: readonly string[]): Promise<string> {
  const { values, positionals } = parseArguments(args);
  const [command = "", path = ""] = positionals;
  if (values.help || command === "") return usage;
  const { updates, blobs } = readConfig();
  if (!updates.fromBlobs) return await runIn(updates, command, { path, values });
  // A folder of its own: the gateway's copy belongs to the gateway.
  const folder = await mkdtemp(join(tmpdir(), "parley-release-"));
  const { signal } = new AbortController();
  const mirror = openReleaseMirror(folder, blobs);
  try {
    await mirror.pull(signal);
    const answer = await runIn({ ...updates, folder, place: "the blob store" }, command, {
      path,
      values,
    });
    if (!readers.includes(command)) await mirror.push(signal);
    return answer;
  } finally {
    mirror.close();
    await rm(folder, { recursive: true });
  }
}

/** Commands that change nothing. */
const readers = ["list", "feed"];

type Place = {
  readonly folder: string;
  readonly baseUrl?: string;
  /** What the folder is called where it is but a copy. */
  readonly place?: string;
};

async function runIn(
  { folder, baseUrl, place = folder }: Place,
  command: string,
  { path, values }: { readonly path: string; readonly values: Values },
): Promise<string> {
  if (command === "withdraw") return await withdraw(folder, values);
  if (command === "list" || command === "feed") {
    const onError = (name: string, { message }: Error) =>
      process.stderr.write(`${name}: ${message}\n`);
    const catalog = await openReleases({ folder, ...(baseUrl && { baseUrl }), onError }).read();
    if (command === "feed") return Buffer.from(catalog.feeds[feedOf(values)].bytes).toString();
    return catalog.releases
      .map(
        ({ build, version, channel, artifact }) =>
          `${build}  ${version}  ${channel}  ${artifact.name}\n`,
      )
      .join("");
  }
  if (path === "") throw new Error(`${command} needs a file\n\n${usage}`);
  if (command === "add") return describe(await add(folder, path, values), place);
  if (command === "delta") return describe(await delta(folder, path, values), place);
  if (command === "signed-feed") return await publishFeed(folder, path, values);
  throw new Error(`there is no command ${command}\n\n${usage}`);
}

function add(folder: string, path: string, values: Values) {
  const { version } = values;
  if (version === undefined) throw new Error("--version is required");
  return addRelease(folder, fileOf(path, values), {
    version,
    build: values.build === undefined ? buildOf(version) : count("--build", values.build),
    date: new Date(),
    channel: channelOf(values),
    critical: values.critical ?? false,
    autoInstall: values["auto-install"] ?? false,
    arch: values.arch ?? "universal",
    minOs: values["min-os"] ?? "10.13.0",
    type: values.type,
    notes: values.notes && readFileSync(values.notes, "utf8"),
    notesUrl: values["notes-url"],
    phasedSeconds: values["phased-hours"] === undefined ? undefined : hours(values["phased-hours"]),
  });
}

function delta(folder: string, path: string, values: Values) {
  const { version, build, from } = values;
  if (from === undefined) throw new Error("--from BUILD is required");
  if (version === undefined && build === undefined) throw new Error("--version is required");
  return addDelta(folder, fileOf(path, values), {
    build: build === undefined ? buildOf(version ?? "") : count("--build", build),
    fromBuild: count("--from", from),
  });
}

async function withdraw(folder: string, { version, build }: Values): Promise<string> {
  if (version === undefined && build === undefined) throw new Error("--version is required");
  const number = build === undefined ? buildOf(version ?? "") : count("--build", build);
  await rm(join(folder, `${number}.json`)).catch(() => {
    throw new Error(`there is no release of build ${number}`);
  });
  return `build ${number} is withdrawn\n`;
}

async function publishFeed(folder: string, path: string, values: Values): Promise<string> {
  const name = feedOf(values);
  const bytes = await readFile(path);
  if (!bytes.includes("<rss")) throw new Error(`${path} is no feed`);
  await writeFile(join(folder, name), bytes, { flush: true });
  return `${name} is published as it was signed\n`;
}

function feedOf(values: Values): FeedName {
  return channelOf(values) === "beta" ? "appcast-beta.xml" : "appcast.xml";
}

function fileOf(path: string, values: Values): NewFile {
  const publicKey = values["public-key"];
  const { signing, length } = signingOf(values);
  return {
    path,
    name: values.name,
    length: values.length === undefined ? length : count("--length", values.length),
    signing,
    publicKey:
      publicKey === undefined ? undefined : parsePublicKey(readFileSync(publicKey, "utf8")),
  };
}

/** Sparkle's tool prints `sparkle:edSignature="…" length="…"`. */
function signingOf({ key, signature }: Values): Pick<NewFile, "signing" | "length"> {
  if ((key === undefined) === (signature === undefined)) {
    throw new Error("name one of --key and --signature");
  }
  if (key !== undefined) return { signing: { key: parsePrivateKey(readFileSync(key, "utf8")) } };
  const [, printed] = /edSignature="([^"]*)"/.exec(signature ?? "") ?? [];
  const [, length] = /length="(\d+)"/.exec(signature ?? "") ?? [];
  return {
    signing: { signature: printed ?? signature ?? "" },
    length: length === undefined ? undefined : Number(length),
  };
}

function channelOf({ channel: name = "stable" }: Values): Channel {
  const channel = channels.find((each) => each === name);
  if (channel === undefined) throw new Error(`--channel must be one of ${channels.join(", ")}`);
  return channel;
}

function count(option: string, value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new Error(`${option} must be a whole number above 0`);
}

function hours(value: string): number {
  return count("--phased-hours", value) * 3600;
}

type Published = Awaited<ReturnType<typeof addRelease>>;

function describe({ version, build, channel, artifact, deltas }: Published, place: string): string {
  const names = [artifact, ...deltas.map((each) => each.artifact)].map(({ name }) => name);
  return `${version} (build ${build}, ${channel}) is published in ${place}: ${names.join(", ")}\n`;
}

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  const { message } = error as Error;
  const problem = error instanceof InvalidConfig ? `Invalid settings:\n${message}` : message;
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
