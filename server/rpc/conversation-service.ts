import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type ConversationService,
  type ForgetMemoryRequest,
  type ListMemoriesRequest,
  MemoryTerm,
} from "../../gen/parley/v1/conversation_pb.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { UserMemory } from "../conversation/memory/memory.ts";
import { parseDeviceId, parseSessionId, parseTurnId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { Memory } from "../models/memory.ts";
import { callSignal } from "./caller.ts";
import { answer } from "./status.ts";

const MAX_IDS = 1000;
const MAX_ID_BYTES = 64;

/** The service of proto/parley/v1. Without `memory`, that part of it is switched off. */
export function createConversationService(
  conversation: Conversation,
  memory: UserMemory | undefined,
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
    listMemories: ({ hardwareId }: ListMemoriesRequest, context: HandlerContext) =>
      answer(async () => {
        const deviceId = parseDeviceId(hardwareId);
        const memories = await needMemory(memory).list(deviceId, callSignal(context));
        return { memories: memories.map(messageOf) };
      }),
    forgetMemory: (request: ForgetMemoryRequest, context: HandlerContext) =>
      answer(async () => {
        const deviceId = parseDeviceId(request.hardwareId);
        const ids = parseForgotten(request);
        return { forgotten: await needMemory(memory).forget(deviceId, ids, callSignal(context)) };
      }),
  };
}

function needMemory(memory: UserMemory | undefined): UserMemory {
  if (memory) return memory;
  throw new ConnectError(
    "memory is switched off: MEMORY_ENABLED is false",
    Code.FailedPrecondition,
  );
}

function parseForgotten({ memoryIds, all }: ForgetMemoryRequest): readonly string[] | "all" {
  if (all) return "all";
  if (memoryIds.length === 0) {
    throw new InvalidRequest("memory_ids", "is required and must not be empty unless all is true");
  }
  if (memoryIds.length > MAX_IDS) {
    throw new InvalidRequest("memory_ids", `must be at most ${MAX_IDS}`);
  }
  if (memoryIds.some((id) => Buffer.byteLength(id) > MAX_ID_BYTES)) {
    throw new InvalidRequest("memory_ids", `must be at most ${MAX_ID_BYTES} bytes each`);
  }
  return memoryIds;
}

function messageOf({ id, fact, term, createdAt, expiresAt }: Memory) {
  return {
    id,
    fact,
    term: term === "short" ? MemoryTerm.SHORT : MemoryTerm.LONG,
    createdAt: timestampFromMs(createdAt),
    ...(expiresAt !== undefined && { expiresAt: timestampFromMs(expiresAt) }),
  };
}
