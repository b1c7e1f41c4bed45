import { LimitExceeded } from "../core/errors.ts";

/** How many turns may run, and for how long. */
export type TurnLimits = {
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  /** Of all devices on one connection: a device id is not verified. */
  readonly maxTurnsPerConnection: number;
  /** Milliseconds after which a turn is cut with `deadline`. */
  readonly maxTurnMs: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

/** Throws `LimitExceeded` if one stream more is too many, in all or for its connection. */
export function checkStreams(
  limits: TurnLimits,
  streams: readonly { readonly connection: object | undefined }[],
  connection: object | undefined,
): void {
  // Not the caller's limit, so the message names none: clients offer a purchase where they read one.
  if (streams.length >= limits.maxTurns)
    throw new LimitExceeded("gateway busy; retry in 2 s", "streams");
  if (connection === undefined) return;
  const own = streams.filter((stream) => stream.connection === connection);
  refuseAbove(limits.maxTurnsPerConnection, own.length, connectionLimit);
}

/** Throws `LimitExceeded` if one turn more of a device is too many. */
export function checkDevice(
  limits: TurnLimits,
  turns: ReadonlySet<{ readonly deviceId: string | undefined }>,
  deviceId: string | undefined,
): void {
  if (deviceId === undefined) return;
  const own = [...turns].filter((turn) => turn.deviceId === deviceId);
  refuseAbove(limits.maxTurnsPerDevice, own.length, deviceLimit);
}

const connectionLimit = { who: "this connection", limit: "connection_streams" } as const;
const deviceLimit = { who: "this hardware_id", limit: "device_streams" } as const;

function refuseAbove(
  max: number,
  running: number,
  { who, limit }: typeof connectionLimit | typeof deviceLimit,
): void {
  if (running >= max) {
    throw new LimitExceeded(`${who} runs ${max} streams already, the most it may`, limit);
  }
}
