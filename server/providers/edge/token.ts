import { createHash, randomBytes } from "node:crypto";

/**
 * What the Edge browser presents to its read-aloud service. The names and the way the token is made
 * are those that the open-source project `edge-tts` documents. The vendor changes them now and then:
 * then this file has to follow.
 */
const clientToken = "6A5AA1D4EAFF4E9FB37E23D68491D6F4";
const browserVersion = "143.0.3650.75";
const browserMajor = browserVersion.split(".")[0];
const extensionOrigin = "chrome-extension://jdiccldimpdaibmpdkjnbmckianbfold";

/** Seconds from the beginning of 1601, where Windows counts from, to that of 1970. */
const windowsEpochSeconds = 11_644_473_600n;
const ticksPerSecond = 10_000_000n;
/** A token holds for the five minutes that it was made in. */
const tokenTicks = 300n * ticksPerSecond;

/** The `Sec-MS-GEC` token at a time in milliseconds since 1970. */
export function tokenAt(timeMs: number): string {
  const seconds = BigInt(Math.floor(timeMs / 1000)) + windowsEpochSeconds;
  const ticks = seconds * ticksPerSecond;
  const rounded = ticks - (ticks % tokenTicks);
  return createHash("sha256").update(`${rounded}${clientToken}`).digest("hex").toUpperCase();
}

/** The address of one connection, made at that time. */
export function edgeAddress(endpoint: string, timeMs: number): string {
  const url = new URL(endpoint.replace(/^http/, "ws"));
  url.searchParams.set("TrustedClientToken", clientToken);
  url.searchParams.set("Sec-MS-GEC", tokenAt(timeMs));
  url.searchParams.set("Sec-MS-GEC-Version", `1-${browserVersion}`);
  url.searchParams.set("ConnectionId", createId());
  return url.href;
}

/** The headers that the browser sends. */
export function edgeHeaders(): Readonly<Record<string, string>> {
  return {
    Pragma: "no-cache",
    "Cache-Control": "no-cache",
    Origin: extensionOrigin,
    "User-Agent":
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
      `Chrome/${browserMajor}.0.0.0 Safari/537.36 Edg/${browserMajor}.0.0.0`,
    "Accept-Language": "en-US,en;q=0.9",
    Cookie: `muid=${createId().toUpperCase()};`,
  };
}

/** An id as the service likes them: 32 hexadecimal digits. */
export function createId(): string {
  return randomBytes(16).toString("hex");
}
