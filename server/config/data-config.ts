import { join } from "node:path";
import type { BlobLocation } from "../storage/blobs/blob-store.ts";
import type { Settings } from "./settings.ts";

/** What is kept of users beside their turns. */
export type DataConfig = {
  /** Where pictures are kept. */
  readonly blobs: BlobLocation;
  readonly screenshots: { readonly isEnabled: boolean };
  readonly memory: {
    readonly isEnabled: boolean;
    /** Milliseconds that a turn may wait for it. */
    readonly timeoutMs: number;
    /** Distils; the rules do if absent. */
    readonly model?: string;
    readonly embeddingModel?: string;
  };
};

/** Collects the settings of what is kept. */
export function toDataConfig(env: Settings): DataConfig {
  const model = env.GEMINI_API_KEY && (env.MEMORY_MODEL ?? env.GEMINI_MODEL);
  return {
    blobs: toBlobLocation(env),
    screenshots: { isEnabled: env.SCREENSHOTS_ENABLED ?? env.STORAGE_ENABLED },
    memory: {
      isEnabled: env.MEMORY_ENABLED ?? env.STORAGE_ENABLED,
      timeoutMs: env.MEMORY_TIMEOUT * 1000,
      ...(model !== undefined && { model }),
      ...(env.EMBEDDING_MODEL !== undefined && { embeddingModel: env.EMBEDDING_MODEL }),
    },
  };
}

function toBlobLocation(env: Settings): BlobLocation {
  const { BLOB_STORE: store = join(env.DATA_DIR, "blobs") } = env;
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/i.exec(store) ?? [];
  if (bucket === undefined) return { type: "folder", path: store };
  const { S3_ENDPOINT: at, AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = env;
  const sessionToken = env.AWS_SESSION_TOKEN;
  const credentials = id !== undefined &&
    secret !== undefined && {
      accessKeyId: id,
      secretAccessKey: secret,
      ...(sessionToken !== undefined && { sessionToken }),
    };
  return {
    type: "s3",
    bucket,
    prefix,
    region: env.AWS_REGION,
    pathStyle: env.S3_FORCE_PATH_STYLE ?? at !== undefined,
    ...(at !== undefined && { endpoint: at }),
    ...(credentials && { credentials }),
  };
}

/** Settings that cannot be together, one problem each. */
export function findDataConflicts(env: Settings): readonly string[] {
  const problems: string[] = [];
  if (env.SCREENSHOTS_ENABLED && !env.STORAGE_ENABLED) {
    problems.push(
      "SCREENSHOTS_ENABLED is true, and STORAGE_ENABLED is false: the database knows whose a picture is. Set STORAGE_ENABLED=true.",
    );
  }
  const isS3 = /^s3:/i.test(env.BLOB_STORE ?? "");
  if (isS3 && (env.AWS_ACCESS_KEY_ID === undefined) !== (env.AWS_SECRET_ACCESS_KEY === undefined)) {
    problems.push(
      "Only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set. Set both, or neither.",
    );
  }
  for (const name of ["MEMORY_MODEL", "EMBEDDING_MODEL"] as const) {
    if (env[name] === undefined || env.GEMINI_API_KEY !== undefined) continue;
    problems.push(`${name} is set without GEMINI_API_KEY. Set the key, or unset ${name}.`);
  }
  return problems;
}
