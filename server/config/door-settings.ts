import { z } from "zod";
import type { DoorName } from "../doors/doors.ts";
import { count, doors, list, network, port } from "./setting-types.ts";

/** The doors that there are. Only their names: the settings load no door. */
const doorNames = ["openai", "deepgram"] as const satisfies readonly DoorName[];

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
  WYOMING_PORT: port
    .optional()
    .describe(
      "Port for clients of the Wyoming protocol, such as Home Assistant; 10200 is usual. 0 picks a free port. Unset: closed.",
    ),
  WYOMING_ALLOW: list
    .pipe(z.array(network))
    .default([])
    .describe(
      "Addresses or networks, besides this machine, that may use `WYOMING_PORT`: `192.168.1.20, 10.0.0.0/8`. The protocol knows no tokens. Unset: this machine alone.",
    ),
} as const;
