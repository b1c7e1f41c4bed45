import { createHash } from "node:crypto";

/**
 * The key of what Redis keeps of a device under a name. Device ids are what clients say they are: a hash
 * keeps them apart, and out of the keys.
 */
export function deviceKey(deviceId: string, name: string): string {
  const device = createHash("sha256").update(deviceId).digest("base64url").slice(0, 22);
  return `parley:{${device}}:${name}`;
}
