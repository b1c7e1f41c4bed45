import type { Config } from "./config/config.ts";
import type { GatewayLogger } from "./telemetry/logger.ts";
import { openReleases, type Releases, type ReleasesStatus } from "./updates/catalog.ts";
import { openReleaseMirror, type RunningMirror, runMirror } from "./updates/release-mirror.ts";

/** The releases that are served, and what brings them from the blob store, if they are there. */
export type Feed = { readonly releases: Releases; readonly mirror?: RunningMirror };

/** Opens the releases that the settings name. Nothing is read yet. */
export function openFeed({ updates, blobs }: Config, gatewayLogger: GatewayLogger): Feed {
  const logger = gatewayLogger.room("updates");
  const onError = (name: string, { message }: Error) =>
    logger.error({ name, error: message }, "manifest not served");
  const releases = openReleases({ ...updates, onError });
  if (!updates.fromBlobs) return { releases };
  const mirror = runMirror(openReleaseMirror(updates.folder, blobs), ({ message }) =>
    logger.warn({ error: message }, "releases not read from the blob store"),
  );
  const status = (): ReleasesStatus => {
    const lastError = mirror.problem();
    return lastError === undefined ? releases.status() : { state: "degraded", lastError };
  };
  return { releases: { ...releases, status }, mirror };
}
