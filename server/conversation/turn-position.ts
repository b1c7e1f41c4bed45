import { InvalidRequest } from "../core/errors.ts";
import { parseDeviceId, parseTurnId } from "./sessions.ts";

/** A client's place in a turn of its own. */
export type TurnPosition = {
  readonly deviceId: string;
  readonly turnId: string;
  /** The number of the last chunk that the client has; 0 for none. */
  readonly after: number;
};

/**
 * The place that a request takes up, if it names a turn. Throws `InvalidRequest`, also where
 * `resume_after` comes without a turn.
 */
export function parsePosition(fields: {
  readonly hardware_id: string;
  readonly turn_id: string;
  readonly resume_after: bigint | undefined;
}): TurnPosition | undefined {
  const turnId = parseTurnId(fields.turn_id);
  if (turnId) {
    const after = Number(fields.resume_after ?? 0n);
    return { deviceId: parseDeviceId(fields.hardware_id), turnId, after };
  }
  if (fields.resume_after === undefined) return undefined;
  throw new InvalidRequest("turn_id", "is required with resume_after");
}
