import type { HostileCase, Title } from "../attack.ts";
import { envelope, field, http1, outcomes } from "../wire.ts";

function get([name, guard]: Title, path: string, expected: RegExp, extra = {}): HostileCase {
  const bytes = http1(`GET ${path}`, { Connection: "close", ...extra });
  return {
    name: `Tools: ${name}`,
    guard: `tools-${guard}`,
    attack: { kind: "raw", bytes },
    expected,
  };
}

function reflect([name, guard]: Title, body: Uint8Array, expected: RegExp): HostileCase {
  const headers = {
    ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "content-type": "application/grpc",
    te: "trailers",
  };
  return {
    name: `Tools: ${name}`,
    guard: `tools-${guard}`,
    attack: { kind: "h2", headers, body },
    expected,
  };
}

const notFound = /^HTTP\/1\.1 404 /;
const ok = /^HTTP\/1\.1 200 /;
const symbol = (name: string) => envelope(field(4, name));
const tags = Array.from({ length: 1500 }, (_, at) => `"${at}"`).join(",");

/** What may be asked of reflection, metrics and the update feed. */
export const toolCases: readonly HostileCase[] = [
  get(["a download with a path", "download-path"], "/downloads/../package.json", notFound),
  get(["an escaped path", "download-escaped"], "/downloads/..%2f..%2fetc%2fpasswd", notFound),
  get(["an escaped twice", "download-escaped-twice"], "/downloads/%252e%252e%252fpasswd", notFound),
  get(["a path of bytes that are no text", "download-bytes"], "/downloads/%ff%fe", notFound),
  get(["a name with a zero", "download-zero"], "/downloads/a%00.dmg", notFound),
  get(["a name without an end", "download-long"], `/downloads/${"a".repeat(8000)}`, notFound),
  get(["a name of every object", "download-prototype"], "/downloads/__proto__", notFound),
  get(["a thousand ranges", "ranges"], "/downloads/a", notFound, {
    Range: `bytes=${"0-0,".repeat(1000)}1-1`,
  }),
  get(["a thousand tags", "tags"], "/appcast.xml", ok, { "If-None-Match": tags }),
  get(["a token where none is asked for", "token"], "/metrics", ok, {
    Authorization: `Bearer ${"a".repeat(8000)}`,
  }),
  get(["a token of control characters", "token-controls"], "/metrics", /^HTTP\/1\.1 (200|400) /, {
    Authorization: "Bearer \x01\x02",
  }),
  reflect(
    ["reflection: a symbol of 8 KiB", "reflection-long"],
    symbol("a".repeat(8192)),
    outcomes.grpcExhausted,
  ),
  reflect(
    ["reflection: a symbol that is no text", "reflection-bytes"],
    envelope(field(4, Buffer.of(0xff, 0xfe))),
    outcomes.grpcInvalid,
  ),
  reflect(
    ["reflection: a file outside", "reflection-path"],
    envelope(field(3, "../../../etc/passwd")),
    outcomes.grpcOk,
  ),
  reflect(
    ["reflection: ten thousand questions", "reflection-many"],
    Buffer.concat(Array.from({ length: 10_000 }, () => symbol("no.Such"))),
    outcomes.grpcExhausted,
  ),
  reflect(
    ["reflection: nine hundred large answers", "reflection-flood"],
    Buffer.concat(Array.from({ length: 900 }, () => symbol("neira.agent.PythonAgentService"))),
    outcomes.grpcOk,
  ),
];
