import { doorNames } from "../doors/doors.ts";
import { count, doors } from "./setting-types.ts";

/** Settings of the doors for other vendors' clients, as `settings` has them. */
export const doorSettings = {
  DOORS: doors(...doorNames)
    .default(["openai", "deepgram"])
    .describe(
      "Other vendors' APIs that the gateway answers, for their clients: `openai` (`/v1/audio/speech`, `/v1/chat/completions`, `/v1/realtime`), `deepgram` (speech over WebSocket, `/v1/speak`). `none` closes all. See docs/clients.md.",
    ),
  MAX_SPEECH_INPUT: count(1, 16_384)
    .default(4096)
    .describe("Characters of one text that `/v1/audio/speech` speaks. OpenAI's own limit is 4096."),
} as const;
