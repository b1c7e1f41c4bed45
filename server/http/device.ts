import type { Context } from "hono";
import { deviceOf, signalOf } from "../auth/caller.ts";
import type { Callers } from "../auth/gate.ts";
import { parseDeviceId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";

/** The header that names the device, where no token does. With a token it may be left out. */
export const DEVICE_HEADER = "x-hardware-id";

/** What Hono knows of a request. */
export type NodeEnv = { Bindings: { readonly incoming: object } };

/** Who sends a request, and the signal that its client disconnects or its token is revoked. */
export function readDevice({ req, env }: Context<NodeEnv>, callers: Callers) {
  const caller = callers.callerOf(env.incoming);
  const deviceId = parseDevice(deviceOf(caller, textOf(req.header(DEVICE_HEADER))));
  return { deviceId, signal: signalOf(caller, req.raw.signal) };
}

/** Node reads headers as Latin-1, and an id is UTF-8. */
function textOf(header = ""): string {
  return Buffer.from(header, "latin1").toString("utf8");
}

/** Checks a device that a header names. Throws `InvalidRequest`. */
function parseDevice(deviceId: string): string {
  try {
    return parseDeviceId(deviceId);
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    throw new InvalidRequest(DEVICE_HEADER, error.message.replace(/^hardware_id /, ""));
  }
}
