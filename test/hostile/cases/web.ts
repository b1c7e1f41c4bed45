import { brotliCompressSync } from "node:zlib";
import type { HostileCase, Title } from "../attack.ts";
import { http1, rpc } from "../wire.ts";

type Extra = Readonly<Record<string, string>>;

function get([name, guard]: Title, path: string, expected: RegExp, extra: Extra = {}): HostileCase {
  return {
    name: `Web: ${name}`,
    guard: `web-${guard}`,
    attack: { kind: "raw", bytes: http1(`GET ${path}`, extra) },
    expected,
  };
}

function post(
  [name, guard]: Title,
  [path, body]: readonly [path: string, body: string],
  expected: RegExp,
  extra: Extra,
): HostileCase {
  return {
    name: `Web: ${name}`,
    guard: `web-${guard}`,
    attack: { kind: "raw", bytes: http1(`POST ${path}`, extra, body) },
    expected,
  };
}

const connectGet = (query: string) => `${rpc.health}?connect=v1&${query}`;
const json = { "Content-Type": "application/json" };
const foreign = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };

const refused = /^HTTP\/1\.1 403 (?![\s\S]*access-control-allow-origin)/i;
const notFound = /^HTTP\/1\.1 404 /;
const speak = "/v1/speak?prompt=say%3A%20x&hardware_id=d";
const bombBase64 = brotliCompressSync(
  Buffer.alloc(2_000_000, Buffer.from("803e01", "hex")),
).toString("base64url");

/** What a browser, or a page that it shows, may be made to send. */
export const webCases: readonly HostileCase[] = [
  get(["a rebound name", "rebinding"], "/status", refused, { Host: "evil.example" }),
  get(["a rebound name with our port", "rebinding-port"], "/status", refused, {
    Host: "evil.example:8080",
  }),
  get(["a name that ends like ours", "rebinding-suffix"], "/status", refused, {
    Host: "localhost.evil.example",
  }),
  get(
    ["an address, which no page can rebind", "rebinding-address"],
    "/status",
    /^HTTP\/1\.1 200 /,
    {
      Host: "192.0.2.1",
    },
  ),
  post(
    ["a rebound name to an RPC", "rebinding-rpc"],
    [rpc.interrupt, '{"hardwareId":"d"}'],
    refused,
    {
      ...json,
      Host: "evil.example",
    },
  ),
  get(["a rebound name to the page", "rebinding-page"], "/", refused, { Host: "evil.example" }),
  get(
    ["a Connect GET by an <img>", "img-connect"],
    connectGet("encoding=json&message=%7B%7D"),
    refused,
    { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image" },
  ),
  get(
    ["a Connect GET by a sister site", "same-site-connect"],
    connectGet("encoding=json&message=%7B%7D"),
    refused,
    { "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors" },
  ),
  get(["a spoken GET by an <audio> of a foreign page", "audio-foreign"], speak, refused, {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Dest": "audio",
  }),
  get(["a spoken GET with a foreign origin", "speak-origin"], speak, refused, foreign),
  post(
    ["an interrupt by a foreign page", "interrupt-foreign"],
    [rpc.interrupt, '{"hardwareId":"d"}'],
    refused,
    { ...json, ...foreign },
  ),
  post(
    ["a spoken POST by a foreign page", "speak-foreign"],
    ["/v1/speak", '{"prompt":"x","hardware_id":"d"}'],
    refused,
    { ...json, ...foreign },
  ),
  post(["a form by a foreign page", "form-foreign"], ["/v1/speak", "prompt=x"], refused, {
    ...foreign,
    "Content-Type": "application/x-www-form-urlencoded",
  }),
  post(["a multipart form", "multipart"], ["/v1/speak", "--x--"], / 415 /, {
    "Content-Type": "multipart/form-data; boundary=x",
  }),
  get(["the status to a foreign page", "status-foreign"], "/status", refused, foreign),
  get(["the status to the origin null", "status-null"], "/status", refused, { Origin: "null" }),
  {
    name: "Web: a preflight of a foreign page",
    guard: "web-preflight",
    attack: {
      kind: "raw",
      bytes: http1(`OPTIONS ${rpc.stream}`, {
        Origin: "https://evil.example",
        "Access-Control-Request-Method": "POST",
      }),
    },
    expected: refused,
  },
  get(["an origin that only begins like loopback", "origin-prefix"], "/status", refused, {
    Origin: "http://localhost.evil.example",
  }),
  get(
    ["a Connect GET with a compressed bomb", "get-bomb"],
    connectGet(`encoding=proto&base64=1&compression=br&message=${bombBase64}`),
    /^HTTP\/1\.1 501 /,
  ),
  get(
    ["a Connect GET with gzip", "get-gzip"],
    connectGet("encoding=proto&base64=1&compression=gzip&message=H4sIAAAAAAAAAwMAAAAAAAAAAAA"),
    /^HTTP\/1\.1 501 /,
  ),
  get(
    ["a Connect GET that is no base64", "get-base64"],
    connectGet("encoding=proto&base64=1&message=%25%25"),
    / 400 /,
  ),
  get(
    ["a Connect GET without a message", "get-no-message"],
    connectGet("encoding=proto"),
    /^HTTP\/1\.1 200 /,
  ),
  get(
    ["a Connect GET of an encoding that does not exist", "get-encoding"],
    connectGet("encoding=xml&message=x"),
    /^HTTP\/1\.1 415 /,
  ),
  get(
    ["a Connect GET of a stream", "get-stream"],
    `${rpc.stream}?connect=v1&encoding=json&message=%7B%7D`,
    /^HTTP\/1\.1 405 /,
  ),
  get(
    ["a Connect GET with side effects", "get-unsafe"],
    `${rpc.interrupt}?connect=v1&encoding=json&message=%7B%22hardwareId%22%3A%22d%22%7D`,
    / 405 /,
  ),
  get(
    ["a Connect GET with a bad percent sign", "get-percent"],
    connectGet("encoding=json&message=%E0%A4%A"),
    /^HTTP\/1\.1 400 /,
  ),
  get(["a path that climbs", "path-climb"], "/../../etc/passwd", notFound),
  get(["a path that climbs, encoded", "path-climb-encoded"], "/%2e%2e/%2e%2e/etc/passwd", notFound),
  get(
    ["a path that climbs, encoded twice", "path-climb-twice"],
    "/%252e%252e/etc/passwd",
    notFound,
  ),
  get(["a path of backslashes", "path-backslash"], "/..\\..\\etc\\passwd", /^HTTP\/1\.1 400 /),
  get(["a path with a NUL", "path-nul"], "/index.html%00.png", notFound),
  get(["a path with a bad percent sign", "path-percent"], "/%E0%A4%A", notFound),
  get(["a page's source", "path-source"], "/src/main.ts", notFound),
  get(["a hidden file", "path-hidden"], "/.git/config", notFound),
  get(["a path with markup", "path-markup"], "/%3Cscript%3Ealert(1)%3C/script%3E", notFound),
  get(
    ["a path with a header in it", "path-crlf"],
    "/%0d%0aSet-Cookie:%20a=b",
    /^HTTP\/1\.1 404 (?![\s\S]*\nset-cookie)/i,
  ),
  get(["a spoken GET without a prompt", "speak-no-prompt"], "/v1/speak?hardware_id=d", / 400 /),
  get(
    ["a spoken GET with a prompt twice", "speak-twice"],
    "/v1/speak?prompt=a&prompt=b&hardware_id=d",
    /^HTTP\/1\.1 400 /,
  ),
  get(["a spoken GET with an unknown field", "speak-field"], `${speak}&evil=1`, / 400 /),
  get(
    ["a spoken GET with a ticket that was never given", "speak-ticket"],
    "/v1/speak?ticket=AAAAAAAAAAAAAAAAAAAAAA",
    notFound,
  ),
  get(["ranges without end", "range"], "/", /^HTTP\/1\.1 200 /, {
    Range: `bytes=${Array.from({ length: 1000 }, (_, at) => `${at}-`).join(",")}`,
  }),
  {
    name: "Web: HEAD of the status",
    guard: "web-head",
    attack: { kind: "raw", bytes: http1("HEAD /status") },
    expected: /^HTTP\/1\.1 200 [^{]*$/,
  },
  {
    name: "Web: DELETE of the page",
    guard: "web-delete",
    attack: { kind: "raw", bytes: http1("DELETE /") },
    expected: / 405 [\s\S]*allow/i,
  },
  get(["a cookie of 12 KiB", "cookie"], "/health", / 200 /, { Cookie: "a=".padEnd(12_000, "b") }),
];
