import { z } from "zod";
import { blobStore, endpoint, flag, key, seconds } from "./setting-types.ts";

/** The settings of what is kept of users beside their turns: memories and pictures. */
export const dataSettings = {
  MEMORY_ENABLED: flag
    .optional()
    .describe(
      "Whether facts that users tell of themselves are remembered by device, and told the model in later turns. Unset: as `STORAGE_ENABLED`. Without storage they are gone when the gateway stops.",
    ),
  MEMORY_TIMEOUT: seconds(60)
    .default(2)
    .describe("Seconds that a turn may wait for what is remembered. Then it goes on without."),
  MEMORY_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Google model that distils what to remember after each turn, with `GEMINI_API_KEY`: a small one will do. Unset: `GEMINI_MODEL`. Without a key, rules for English and Russian do it.",
    ),
  EMBEDDING_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Google model that finds what is remembered by its meaning: `gemini-embedding-001`. Each turn waits for one request to it. Unset: the latest facts are told.",
    ),
  SCREENSHOTS_ENABLED: flag
    .optional()
    .describe(
      "Whether screenshots are kept, for the device that sent them. Needs `STORAGE_ENABLED`; unset: the same.",
    ),
  BLOB_STORE: blobStore.describe(
    "Where pictures are kept: a folder, or `s3://BUCKET` or `s3://BUCKET/PREFIX`. Unset: `blobs` in `DATA_DIR`.",
  ),
  S3_ENDPOINT: endpoint.describe(
    "Address of an object store that speaks S3's protocol, if not AWS: `https://storage.googleapis.com`. The name `MINIO_ENDPOINT` works too.",
  ),
  S3_FORCE_PATH_STYLE: flag
    .optional()
    .describe(
      "Whether the bucket stands in the path, not in the host name. Unset: true with `S3_ENDPOINT`.",
    ),
  AWS_REGION: z
    .string()
    .min(1)
    .default("us-east-1")
    .describe("Region of the bucket. The name `AWS_DEFAULT_REGION` works too."),
  AWS_ACCESS_KEY_ID: key.describe(
    "Key for the bucket. The name `MINIO_ACCESS_KEY` works too. Unset: what AWS's SDK finds, such as the machine's role.",
  ),
  AWS_SECRET_ACCESS_KEY: key.describe(
    "Secret that belongs to the key. The name `MINIO_SECRET_KEY` works too.",
  ),
  AWS_SESSION_TOKEN: key.describe("Token that belongs to a temporary key."),
};
