/**
 * A message of Microsoft's speech protocol: headers and a body, in a text message of a WebSocket, or
 * in a binary one whose first two bytes tell how long the headers are.
 */
export type SpeechMessage = {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

const textBorder = "\r\n\r\n";

/** Reads a message. Throws a SyntaxError if that is none, or its JSON cannot be read. */
export function parseMessage(data: string | Uint8Array): SpeechMessage {
  const message = typeof data === "string" ? parseText(data) : parseBinary(data);
  const { path } = message.headers;
  if (path === undefined) throw new SyntaxError("a message without a path");
  if (typeof message.body === "string" && /^audio\.metadata$|^response$/.test(path)) {
    JSON.parse(message.body);
  }
  return message;
}

/** Writes a text message. */
export function formatMessage(headers: Readonly<Record<string, string>>, body: string): string {
  const connections = Object.entries(headers).map(([name, value]) => `${name}:${value}\r\n`);
  return `${connections.join("")}\r\n${body}`;
}

function parseText(data: string): SpeechMessage {
  const border = data.indexOf(textBorder);
  if (border === -1) throw new SyntaxError("a message without an end of its headers");
  return {
    headers: parseHeaders(data.slice(0, border)),
    body: data.slice(border + textBorder.length),
  };
}

function parseBinary(data: Uint8Array): SpeechMessage {
  const headersLength = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  const bodyStart = headersLength + 2;
  if (data.length < 2 || data.length < bodyStart) throw new SyntaxError("a message cut short");
  return {
    headers: parseHeaders(new TextDecoder().decode(data.subarray(2, bodyStart))),
    body: data.subarray(bodyStart),
  };
}

function parseHeaders(connections: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const connection of connections.split("\r\n")) {
    const colon = connection.indexOf(":");
    if (colon > 0)
      headers[connection.slice(0, colon).trim().toLowerCase()] = connection.slice(colon + 1).trim();
  }
  return headers;
}
