import { createHash, type KeyObject } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { readReleases } from "./catalog.ts";
import {
  type Channel,
  fileName,
  parseManifest,
  type Release,
  type ReleaseFile,
} from "./manifest.ts";
import { isSignedBy, parsePublicKey, publicKeyOf, sign } from "./signing.ts";

/** A file to publish, and who signed it. */
export type NewFile = {
  readonly path: string;
  /** The name to publish it by; the file's own if absent. */
  readonly name?: string | undefined;
  /** The bytes that it must have, where that is known. */
  readonly length?: number | undefined;
  /** A private key to sign with, or a signature that was made elsewhere, in base64. */
  readonly signing: { readonly key: KeyObject } | { readonly signature: string };
  /** The key that signatures must be of. Needed with the first signature of a folder. */
  readonly publicKey?: KeyObject | undefined;
};

/** What a new release says of itself. */
export type NewRelease = {
  readonly version: string;
  readonly build: number;
  readonly date: Date;
  readonly channel: Channel;
  readonly critical: boolean;
  readonly autoInstall: boolean;
  readonly arch: string;
  readonly minOs: string;
  readonly type?: string | undefined;
  readonly notes?: string | undefined;
  readonly notesUrl?: string | undefined;
  readonly phasedSeconds?: number | undefined;
};

/** The public key of a folder's signatures. */
const KEY_NAME = "public-key";

/**
 * Checks a file and its signature, and publishes it with a manifest. Throws an error that says what is
 * wrong; then nothing was published.
 */
export async function addRelease(
  folder: string,
  file: NewFile,
  release: NewRelease,
): Promise<Release> {
  const { bytes, described, publicKey } = await checkFile(folder, file);
  await checkBuild(folder, release);
  const manifest = parseManifest(
    JSON.stringify({
      version: release.version,
      build: release.build,
      release_date: release.date.toISOString(),
      channel: release.channel,
      critical: release.critical,
      auto_install: release.autoInstall,
      notes_url: release.notesUrl,
      notes: release.notes,
      phased_rollout_interval: release.phasedSeconds,
      artifact: {
        ...described,
        type: release.type ?? (extname(described.name).slice(1).toLowerCase() || "bin"),
        arch: release.arch,
        min_os: release.minOs,
      },
    }),
  );
  await publish(folder, { bytes, publicKey, manifest, name: described.name });
  return manifest;
}

/** Adds a delta from an older build to a release. Throws as `addRelease` does. */
export async function addDelta(
  folder: string,
  file: NewFile,
  { build, fromBuild }: { readonly build: number; readonly fromBuild: number },
): Promise<Release> {
  const releases = await readReleases(folder, refuseDamaged);
  const release = releases.find((each) => each.build === build);
  if (!release) throw new Error(`there is no release of build ${build}`);
  if (fromBuild >= build) throw new Error(`--from ${fromBuild} must be below build ${build}`);
  const { bytes, described, publicKey } = await checkFile(folder, file);
  const others = release.deltas.filter(({ from_build }) => from_build !== fromBuild);
  const deltas = [...others, { from_build: fromBuild, artifact: described }];
  const manifest = parseManifest(JSON.stringify({ ...release, deltas }));
  await publish(folder, { bytes, publicKey, manifest, name: described.name });
  return manifest;
}

async function checkFile(folder: string, file: NewFile) {
  const name = fileName.safeParse(file.name ?? basename(file.path));
  if (!name.success) throw new Error(`the name ${name.error.issues[0]?.message}`);
  if (name.data.endsWith(".json") || name.data.endsWith(".xml")) {
    throw new Error("the name must not end in .json or .xml: manifests and feeds do");
  }
  const bytes = await readFile(file.path);
  if (bytes.length === 0) throw new Error("the file is empty");
  if (file.length !== undefined && file.length !== bytes.length) {
    throw new Error(`the file has ${bytes.length} bytes, not ${file.length}`);
  }
  const publicKey = await findPublicKey(folder, file);
  const { signing } = file;
  const signature = "key" in signing ? sign(bytes, signing.key) : signing.signature;
  if (!isSignedBy(bytes, signature, publicKey)) {
    throw new Error("the signature is not that of this file by the public key");
  }
  const described: ReleaseFile = {
    name: name.data,
    size: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    ed25519: signature,
  };
  await checkName(folder, described);
  return { bytes, described, publicKey };
}

/** The key of the folder's first release is the key of all: clients know no other. */
async function findPublicKey(folder: string, { signing, publicKey }: NewFile): Promise<KeyObject> {
  const kept = await readFile(join(folder, KEY_NAME), "utf8").catch(() => undefined);
  const given = publicKey ?? ("key" in signing ? signing.key : undefined);
  if (kept === undefined) {
    if (given === undefined) throw new Error("--public-key is needed with the first signature");
    return parsePublicKey(publicKeyOf(given));
  }
  if (given !== undefined && publicKeyOf(given) !== kept.trim()) {
    throw new Error(`the key is not that of the other releases; see ${KEY_NAME} in the folder`);
  }
  return parsePublicKey(kept);
}

/** A file that is already published keeps its bytes. */
async function checkName(folder: string, { name, sha256 }: ReleaseFile): Promise<void> {
  const releases = await readReleases(folder, refuseDamaged);
  const files = releases.flatMap(({ artifact, deltas }) => [
    artifact,
    ...deltas.map((delta) => delta.artifact),
  ]);
  if (files.some((file) => file.name === name && file.sha256 !== sha256)) {
    throw new Error(`${name} is published with other bytes; choose another --name`);
  }
}

async function checkBuild(folder: string, { build, channel }: NewRelease): Promise<void> {
  const releases = await readReleases(folder, refuseDamaged);
  if (releases.some((release) => release.build === build)) {
    throw new Error(`build ${build} is published already`);
  }
  const newest = releases.find((release) => release.channel === channel);
  if (newest && build < newest.build) {
    throw new Error(`build ${build} is below build ${newest.build} of the channel ${channel}`);
  }
}

/** What cannot be read may be the newest release. */
function refuseDamaged(name: string, { message }: Error): void {
  throw new Error(`${name} in the folder is damaged: ${message}`);
}

type Publication = {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly publicKey: KeyObject;
  readonly manifest: Release;
};

/** The manifest comes last: a gateway that sees it finds the file. */
async function publish(folder: string, publication: Publication): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { name, bytes, publicKey, manifest } = publication;
  await replace(join(folder, KEY_NAME), `${publicKeyOf(publicKey)}\n`);
  await replace(join(folder, name), bytes);
  await replace(
    join(folder, `${manifest.build}.json`),
    `${JSON.stringify(manifest, undefined, 2)}\n`,
  );
}

async function replace(path: string, content: string | Uint8Array): Promise<void> {
  const scratch = `${path}.${process.pid}.tmp`;
  await writeFile(scratch, content, { flush: true });
  await rename(scratch, path);
}
