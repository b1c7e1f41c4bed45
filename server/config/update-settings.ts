import { z } from "zod";
import { flag, httpUrl, port } from "./setting-types.ts";

/** The settings of the update feed. */
export const updateSettings = {
  UPDATE_ENABLED: flag
    .default(false)
    .describe(
      "Opens `UPDATE_PORT` for the update feed alone. Every other port serves the feed too.",
    ),
  UPDATE_PORT: port
    .default(8081)
    .describe("Port for the update feed, with `UPDATE_ENABLED`. 0 picks a free port."),
  UPDATE_SOURCE: z
    .enum(["folder", "blobs"])
    .default("folder")
    .describe(
      "Where the releases are: `folder`, or `blobs` for the object store that `BLOB_STORE` names. They are then copied to `UPDATE_DIR` (unset: `cache/updates` in `DATA_DIR`), and served from there.",
    ),
  UPDATE_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Folder of the releases, which `npm run release` fills. Unset: `updates` in `DATA_DIR`.",
    ),
  UPDATE_URL: httpUrl.describe(
    "Address that clients reach the update feed at: `https://updates.example`. The feed's addresses begin with it. Unset: they are relative to the feed's own.",
  ),
};
