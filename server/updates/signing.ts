import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto";

/** What stands before the 32 bytes of an Ed25519 key in its DER form. */
const privatePrefix = Buffer.from("302e020100300506032b657004220420", "hex");
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex");

/**
 * Reads a private Ed25519 key: PEM, or its 32 bytes in base64 as Sparkle exports it. Throws an error
 * that repeats nothing of it.
 */
export function parsePrivateKey(text: string): KeyObject {
  const key = readKey(text, privatePrefix, (input) => createPrivateKey(input));
  if (key?.asymmetricKeyType === "ed25519") return key;
  throw new Error("the key must be a private Ed25519 key: PEM, or 32 bytes in base64");
}

/** Reads a public Ed25519 key: PEM, or its 32 bytes in base64, as in `SUPublicEDKey`. */
export function parsePublicKey(text: string): KeyObject {
  const key = readKey(text, publicPrefix, (input) => createPublicKey(input));
  if (key?.asymmetricKeyType === "ed25519") return key;
  throw new Error("the public key must be one of Ed25519: PEM, or 32 bytes in base64");
}

type KeyInput = string | { key: Buffer; format: "der"; type: "pkcs8" & "spki" };

function readKey(
  text: string,
  prefix: Buffer,
  create: (input: KeyInput) => KeyObject,
): KeyObject | undefined {
  try {
    if (text.includes("-----BEGIN ")) return create(text);
    const bytes = Buffer.from(text.trim(), "base64");
    if (bytes.length !== 32) return undefined;
    const type = (prefix === publicPrefix ? "spki" : "pkcs8") as "pkcs8" & "spki";
    return create({ key: Buffer.concat([prefix, bytes]), format: "der", type });
  } catch {
    return undefined;
  }
}

/** A key's public half, as its 32 bytes in base64. */
export function publicKeyOf(key: KeyObject): string {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return half
    .export({ format: "der", type: "spki" })
    .subarray(publicPrefix.length)
    .toString("base64");
}

/** Signs bytes. The signature is in base64. */
export function sign(bytes: Uint8Array, key: KeyObject): string {
  return signBytes(null, bytes, key).toString("base64");
}

/** Whether a signature in base64 is that of the bytes by the key. */
export function isSignedBy(bytes: Uint8Array, signature: string, key: KeyObject): boolean {
  const raw = Buffer.from(signature, "base64");
  // Node ignores what follows the padding.
  const isExact = raw.length === 64 && raw.toString("base64") === signature;
  return isExact && verifyBytes(null, bytes, key, raw);
}
