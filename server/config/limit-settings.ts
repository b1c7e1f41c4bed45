import type { z } from "zod";
import { count } from "./setting-types.ts";

/** The settings of rate limits and quotas. */
export const limitSettings = {
  RATE_LIMIT_REQUESTS: count(0, 1_000_000)
    .default(100)
    .describe(
      "Requests, and messages over WebSocket, a second of one device in the long run; ten seconds' worth at once. One client address, which devices may share, has ten times as many. 0: any number.",
    ),
  RATE_LIMIT_BYTES: count(0, 10_000_000_000)
    .default(8 * 1024 * 1024)
    .describe(
      "Bytes of requests a second of one device in the long run; ten seconds' worth at once, and one message more. An address has ten times as many. 0: any number.",
    ),
  QUOTA_AUDIO_SECONDS: count(0, 100_000_000)
    .default(86_400)
    .describe(
      "Seconds of sound that one device gets in a day (UTC). The default is more than it can play. A turn that has begun is spoken to its end. 0: any number.",
    ),
  QUOTA_TOKENS: count(0, Number.MAX_SAFE_INTEGER)
    .default(0)
    .describe(
      "Tokens that one device spends in a day (UTC), input and output together; no turn of it begins after that. 0: any number.",
    ),
} as const satisfies Record<string, z.ZodType>;
