import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import { type ConnectedRequest, connectionOf } from "../core/connection.ts";

/** Where a call's context holds the connection that it came over. */
export const connectionKey = createContextKey<object>(
  {},
  {
    description: "the connection that a call came over",
  },
);

/** A call's context: the connection of its request. */
export function readContext(request: ConnectedRequest): ContextValues {
  return createContextValues().set(connectionKey, connectionOf(request));
}
