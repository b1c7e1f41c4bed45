import { constants } from "node:http2";
import { isHttp1, isHttp1Response, type PortRequest, type PortResponse } from "./request.ts";

const MAX_UNREAD_BYTES = 1024 * 1024;

/**
 * Cuts off a request whose body goes on after it was answered, once 1 MiB of it was dropped. Less is
 * read and dropped, since closing at once could keep the answer from an HTTP/1.1 client.
 */
export function cutUnreadBodies(request: PortRequest, response: PortResponse): void {
  // Before Node's own listener, which would drop the body without counting it. Over HTTP/2 a response
  // without a body is finished only when its request is, so the stream is asked there.
  const answered = isHttp1Response(response) ? response : response.stream;
  answered.prependListener("finish", () => {
    if (request.readableEnded || request.destroyed) return;
    let droppedBytes = 0;
    request.on("data", (bytes: Uint8Array) => {
      droppedBytes += bytes.length;
      if (droppedBytes > MAX_UNREAD_BYTES) cut(request);
    });
    request.resume();
    // Tells Node that somebody reads.
    request.read(0);
  });
}

function cut(request: PortRequest): void {
  if (isHttp1(request)) request.socket.destroy();
  else request.stream.close(constants.NGHTTP2_NO_ERROR);
}
