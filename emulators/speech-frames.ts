/** A message of Microsoft's speech protocol as it came. Header names in lower case. */
export type Frame = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Reads a text message of a client. Throws if it is none: a client that is wrong has to show. */
export function readFrame(data: string): Frame {
  const border = data.indexOf("\r\n\r\n");
  if (border === -1) throw new Error("a message without an end of its headers");
  const lines = data.slice(0, border).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split(":");
      return [name.trim().toLowerCase(), value.join(":").trim()];
    }),
  );
  const path = headers["path"];
  if (path === undefined) throw new Error("a message without a path");
  return { path, headers, body: data.slice(border + 4) };
}

/** A text message of the service. */
export function textFrame(path: string, requestId: string, body: unknown): string {
  const content = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "X-RequestId": requestId, "Content-Type": "application/json; charset=utf-8" };
  return `${headerLines({ ...headers, Path: path })}\r\n${content}`;
}

/** A message with sound: two bytes with the headers' length, the headers, the sound. */
export function soundFrame(
  { requestId, streamId, type }: { requestId: string; streamId: string; type: string },
  sound: Uint8Array,
): Uint8Array {
  const headers = Buffer.from(
    headerLines({
      "X-RequestId": requestId,
      "Content-Type": type,
      "X-StreamId": streamId,
      Path: "audio",
    }),
  );
  const length = Buffer.alloc(2);
  length.writeUInt16BE(headers.length);
  return Buffer.concat([length, headers, sound]);
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join("");
}
