import type { Message } from "@bufbuild/protobuf";
import { createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { anonymousCaller, type Caller, deviceOf, signalOf } from "../auth/caller.ts";
import { toStatus } from "./status.ts";

/** Where a call's context holds its caller. */
export const callerKey = createContextKey<Caller>(anonymousCaller, { description: "caller" });

/** A call's signal: it fires when the client disconnects, and when its token is revoked. */
export function callSignal({
  signal,
  values,
}: Pick<HandlerContext, "signal" | "values">): AbortSignal {
  return signalOf(values.get(callerKey), signal);
}

/**
 * Makes the token's device the device of every message with a `hardware_id`. A message that names
 * another device is PERMISSION_DENIED. Without a token the message is counted for the device it names.
 */
export const bindDevice: Interceptor = (next) => (request) => {
  const caller = request.contextValues.get(callerKey);
  const field = request.method.input.fields.find(({ name }) => name === "hardware_id");
  if (field === undefined) return next(request);
  const bind = (message: Message) => {
    const fields = message as unknown as Record<string, string>;
    try {
      fields[field.localName] = deviceOf(caller, fields[field.localName] ?? "");
    } catch (error) {
      throw toStatus(error);
    }
  };
  if (request.stream) return next({ ...request, message: bindEach(request.message, bind) });
  bind(request.message);
  return next(request);
};

async function* bindEach<Each extends Message>(
  messages: AsyncIterable<Each>,
  bind: (message: Each) => void,
): AsyncGenerator<Each> {
  for await (const message of messages) {
    bind(message);
    yield message;
  }
}
