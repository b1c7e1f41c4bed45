import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { buildOf, mediaTypeOf } from "./manifest.ts";
import { isSignedBy, parsePrivateKey, parsePublicKey, publicKeyOf, sign } from "./signing.ts";

const bytes = Buffer.from("the file");
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("base64");

describe("parsePrivateKey and parsePublicKey", () => {
  it("read PEM and the 32 bytes in base64, which are the same key", () => {
    const pem = parsePrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    const raw = parsePrivateKey(`${seed}\n`);
    const halves = [
      parsePublicKey(publicKey.export({ format: "pem", type: "spki" }).toString()),
      parsePublicKey(publicKeyOf(publicKey)),
    ];
    for (const key of [pem, raw]) {
      expect(publicKeyOf(key)).toBe(publicKeyOf(publicKey));
      for (const half of halves) expect(isSignedBy(bytes, sign(bytes, key), half)).toBe(true);
    }
  });

  it.each([
    ["", "nothing"],
    ["c2hvcnQ=", "too short"],
    [seed.slice(0, 20) + seed, "too long"],
    ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "damaged"],
    [
      generateKeyPairSync("ec", { namedCurve: "P-256" })
        .privateKey.export({ format: "pem", type: "pkcs8" })
        .toString(),
      "of another kind",
    ],
  ])("refuse a key that is %#, and repeat nothing of it", (text) => {
    for (const parse of [parsePrivateKey, parsePublicKey]) {
      expect(() => parse(text)).toThrow(/^the (public )?key must be [^:]*Ed25519[^:]*: PEM, or 32/);
    }
  });
});

describe("isSignedBy", () => {
  it("refuses other bytes, another key, and what is no signature", () => {
    const signature = sign(bytes, privateKey);
    const other = generateKeyPairSync("ed25519").publicKey;
    expect(isSignedBy(Buffer.from("other"), signature, publicKey)).toBe(false);
    expect(isSignedBy(bytes, signature, other)).toBe(false);
    for (const text of ["", "AAAA", `${signature}AAAA`, "no base64!"]) {
      expect(isSignedBy(bytes, text, publicKey)).toBe(false);
    }
  });
});

describe("buildOf", () => {
  it("is major·10000 + minor·100 + patch", () => {
    expect(buildOf("1.2.3")).toBe(10_203);
    expect(buildOf("12.34.56-beta.1")).toBe(123_456);
  });

  it("refuses parts that would run into each other", () => {
    expect(() => buildOf("1.100.0")).toThrow("its parts must be below 100");
  });
});

describe("mediaTypeOf", () => {
  it("goes by the ending", () => {
    expect(["a.DMG", "a.zip", "a", "a.delta"].map(mediaTypeOf)).toEqual([
      "application/x-apple-diskimage",
      "application/zip",
      "application/octet-stream",
      "application/octet-stream",
    ]);
  });
});
