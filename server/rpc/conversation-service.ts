import type { ServiceImpl } from "@connectrpc/connect";
import type { ConversationService } from "../../gen/parley/v1/conversation_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import { parseDeviceId, parseSessionId, parseTurnId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";
import { answer } from "./status.ts";

/** The service of proto/parley: what clients tell of their turns. */
export function createConversationService(
  conversation: Conversation,
): ServiceImpl<typeof ConversationService> {
  return {
    reportPlayback: (request) =>
      answer(async () => {
        const sessionId = parseSessionId(request.sessionId);
        const turnId = parseTurnId(request.turnId);
        if (!turnId) throw new InvalidRequest("turn_id", "is required");
        await conversation.reportPlayback({
          deviceId: parseDeviceId(request.hardwareId),
          turnId,
          ...(sessionId && { sessionId }),
          samples: Number(request.samplesPlayed),
        });
        return {};
      }),
  };
}
