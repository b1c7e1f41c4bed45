import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type AnalyzeAudioRequest,
  AnalyzeAudioResponseSchema,
  type AudioAnalysis,
} from "../../gen/audioanalyzer/audioanalyzer_pb.ts";
import type { StoredObjects } from "../analysis/objects.ts";
import type { AnalysisResult } from "../analysis/verdict.ts";
import { deviceOf } from "../auth/caller.ts";
import { parseDeviceId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";
import { callerKey, callSignal } from "./caller.ts";
import { answer } from "./status.ts";

const MAX_KEY_BYTES = 1024;
/** Names the device where no token does, as on the routes. */
const DEVICE_METADATA = "x-hardware-id";

/** The service of proto/audioanalyzer. */
export function createAnalysisService(objects: StoredObjects): ServiceImpl<typeof AudioAnalysis> {
  return {
    analyzeAudio: (request: AnalyzeAudioRequest, context: HandlerContext) =>
      answer(async () => {
        const bucket = required("minio_bucket_name", request.minioBucketName);
        const key = required("minio_object_key", request.minioObjectKey);
        const of = askerOf(context);
        return messageOf(await objects.analyze({ bucket, key, of }, callSignal(context)));
      }),
  };
}

function required(field: string, value: string): string {
  if (value === "") throw new InvalidRequest(field, "is required and must not be empty");
  if (Buffer.byteLength(value) > MAX_KEY_BYTES) {
    throw new InvalidRequest(field, `must be at most ${MAX_KEY_BYTES} bytes`);
  }
  return value;
}

/** Whose objects may be read. */
function askerOf({ values, requestHeader }: HandlerContext): "all" | { readonly deviceId: string } {
  const caller = values.get(callerKey);
  if (caller.scopes.has("analysis-all")) return "all";
  return { deviceId: parseDeviceId(deviceOf(caller, requestHeader.get(DEVICE_METADATA) ?? "")) };
}

function messageOf({ predictions, conclusion, errorMessage = "" }: AnalysisResult) {
  const { mean, max, ...rest } = conclusion;
  return create(AnalyzeAudioResponseSchema, {
    predictions: [...predictions],
    errorMessage,
    conclusion: { ...rest, ...(mean !== null && { mean }), ...(max !== null && { max }) },
  });
}
