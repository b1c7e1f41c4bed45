import { createContextKey } from "@connectrpc/connect";

/** Where a call's context holds its connection. */
export const connectionKey = createContextKey<object>({}, { description: "connection" });
