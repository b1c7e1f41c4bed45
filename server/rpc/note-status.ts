import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { currentRequest, rpcStatusName } from "../telemetry/requests.ts";

/**
 * Notes how each RPC ended, for its span: gRPC-Web and Connect say it in their bodies, where nobody reads
 * it again. Used with tracing alone.
 */
export const noteStatus: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    if (response.stream) return { ...response, message: noteEnd(response.message) };
    note(0);
    return response;
  } catch (error) {
    note(ConnectError.from(error).code);
    throw error;
  }
};

async function* noteEnd<Message>(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* messages;
    note(0);
  } catch (error) {
    note(ConnectError.from(error).code);
    throw error;
  }
}

function note(code: number): void {
  const request = currentRequest();
  if (request) request.rpcStatus = rpcStatusName(code);
}
