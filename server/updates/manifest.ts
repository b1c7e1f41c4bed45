import { z } from "zod";

/** Channels of releases; every client gets `stable`, others ask for more. */
export const channels = ["stable", "beta", "alpha"] as const;

/** One of `channels`. */
export type Channel = (typeof channels)[number];

/** The name of a file that may be downloaded: never a path. */
export const fileName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/, "must be a file's name, without a path");

/** A version of macOS and the like, of three parts. */
const systemVersion = z.string().regex(/^\d+\.\d+\.\d+$/, "must have three parts: 12.0.0");

const base64 = (bytes: number) =>
  z
    .string()
    .refine(
      (text) => /^[A-Za-z0-9+/]+={0,2}$/.test(text) && Buffer.from(text, "base64").length === bytes,
      `must be ${bytes} bytes in base64`,
    );

const file = z.strictObject({
  name: fileName,
  /** Bytes. */
  size: z.int().positive(),
  /** In hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Ed25519 over the file's bytes, in base64. */
  ed25519: base64(64),
});

const manifest = z.strictObject({
  version: z.string().regex(/^\d+\.\d+\.\d+[\w.+-]{0,64}$/, "must begin with three numbers: 1.2.3"),
  build: z.int().positive(),
  release_date: z.iso.datetime(),
  channel: z.enum(channels),
  critical: z.boolean(),
  auto_install: z.boolean(),
  /** The address of the release notes. */
  notes_url: z.url({ protocol: /^https?$/ }).optional(),
  /** The release notes themselves, as HTML. */
  notes: z.string().max(65_536).optional(),
  /** Seconds from one seventh of the users to the next. */
  phased_rollout_interval: z.int().positive().max(31_536_000).optional(),
  artifact: file.extend({
    /** What it is: `dmg`, `zip`. */
    type: z.string().regex(/^[a-z0-9]{1,16}$/),
    arch: z.string().regex(/^[a-z0-9_-]{1,32}$/),
    min_os: systemVersion,
  }),
  deltas: z.array(z.strictObject({ from_build: z.int().positive(), artifact: file })).default([]),
});

/** A file of a release. */
export type ReleaseFile = Readonly<z.output<typeof file>>;

/** A release, as its manifest in the folder describes it. */
export type Release = Readonly<z.output<typeof manifest>>;

/** Reads a manifest. Throws an error that names the field and the rule. */
export function parseManifest(text: string): Release {
  const parsed = manifest.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${issue?.path.join(".") || "the manifest"}: ${issue?.message}`);
}

/** The build number of a version: major·10000 + minor·100 + patch. Throws if a part is above 99. */
export function buildOf(version: string): number {
  const [major = 0, minor = 0, patch = 0] = (version.match(/^(\d+)\.(\d+)\.(\d+)/) ?? [])
    .slice(1)
    .map(Number);
  if (minor > 99 || patch > 99) throw new Error(`${version}: its parts must be below 100`);
  return major * 10_000 + minor * 100 + patch;
}

/** A release as clients get it: each file by its address. */
export function publicManifest(release: Release, urlOf: (name: string) => string) {
  const { artifact, deltas, notes: _, ...rest } = release;
  const toPublic = <Each extends ReleaseFile>({ name, ...each }: Each) => ({
    ...each,
    url: urlOf(name),
  });
  return {
    ...rest,
    artifact: toPublic(artifact),
    ...(deltas.length > 0 && {
      deltas: deltas.map((delta) => ({ ...delta, artifact: toPublic(delta.artifact) })),
    }),
  };
}

/** The media type of a file, by its name. */
export function mediaTypeOf(name: string): string {
  return types[name.slice(name.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";
}

const types: Readonly<Record<string, string>> = {
  deb: "application/vnd.debian.binary-package",
  dmg: "application/x-apple-diskimage",
  exe: "application/vnd.microsoft.portable-executable",
  gz: "application/gzip",
  msi: "application/x-msi",
  zip: "application/zip",
};
