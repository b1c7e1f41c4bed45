import type { HostileCase, Title } from "../attack.ts";
import { http1, rpc } from "../wire.ts";

const invalid = / 400 [\s\S]*invalid_argument/;
const accepted = /^HTTP\/1\.1 200 /;

function post(path: string, [name, guard]: Title, body: string, expected: RegExp): HostileCase {
  const bytes = http1(`POST ${path}`, { "Content-Type": "application/json" }, body);
  return {
    name: `JSON: ${name}`,
    guard: `json-${guard}`,
    attack: { kind: "raw", bytes },
    expected,
  };
}

const interrupt = ([name, guard]: Title, body: string, expected = invalid) =>
  post(rpc.interrupt, [name, `rpc-${guard}`], body, expected);
const speak = ([name, guard]: Title, body: string, expected = invalid) =>
  post("/v1/speak", [name, `speak-${guard}`], body, expected);
const usage = ([name, guard]: Title, body: string, expected = invalid) =>
  post(rpc.usage, [name, `usage-${guard}`], body, expected);

const device = '"hardware_id":"hostile"';

/** JSON bodies of the RPCs and of `/v1/speak`. */
export const jsonCases: readonly HostileCase[] = [
  interrupt(["null", "null"], "null"),
  interrupt(["a number", "number"], "42"),
  interrupt(["nested 1,000 deep", "deep"], "[".repeat(1000)),
  interrupt(
    ["nested objects 200 deep", "deep-object"],
    `${'{"hardwareId":'.repeat(200)}1${"}".repeat(200)}`,
  ),
  interrupt(["a number for a string", "type-number"], '{"hardwareId":7}'),
  interrupt(["an object for a string", "type-object"], '{"hardwareId":{"a":1}}'),
  interrupt(
    ["a field twice", "duplicate"],
    '{"hardwareId":"a","hardware_id":"b"}',
    /^HTTP\/1\.1 400 /,
  ),
  interrupt(["an unknown field", "unknown"], '{"hardwareId":"d","evil":1}', /^HTTP\/1\.1 200 /),
  interrupt(["a prototype", "proto"], '{"__proto__":{"hardwareId":"d"}}', / 400 /),
  interrupt(
    ["a constructor", "constructor"],
    '{"constructor":{"prototype":{"x":1}},"hardwareId":"d"}',
    /^HTTP\/1\.1 200 /,
  ),
  interrupt(["a lone surrogate", "surrogate"], '{"hardwareId":"\\ud800"}', /^HTTP\/1\.1 400 /),
  interrupt(["a NUL in an id", "nul"], '{"hardwareId":"a\\u0000b"}'),
  interrupt(["an id of 200 letters", "long-id"], JSON.stringify({ hardwareId: "d".repeat(200) })),
  interrupt(["an empty id", "empty-id"], '{"hardwareId":""}'),
  interrupt(["an id of unknown", "unknown-id"], '{"hardwareId":"UnKnown"}'),
  interrupt(
    ["10 MB of white space", "spaces"],
    `{"hardwareId":"d"${" ".repeat(10_000_000)}}`,
    // Of a body that nobody reads 1 MiB is taken: the cut that follows may overtake the answer.
    /^(HTTP\/1\.1 429 |\n?<closed>)/,
  ),
  interrupt(["a comment", "comment"], '{"hardwareId":"d"/* */}'),
  interrupt(["a trailing comma", "comma"], '{"hardwareId":"d",}'),
  interrupt(["two documents", "two"], '{"hardwareId":"d"}{"hardwareId":"e"}'),
  interrupt(["a byte order mark", "bom"], '\ufeff{"hardwareId":"d"}', /^HTTP\/1\.1 200 /),
  speak(["nothing", "empty"], ""),
  speak(["null", "null"], "null"),
  speak(["an array", "array"], "[]"),
  speak(["no prompt", "no-prompt"], `{${device}}`),
  speak(["a blank prompt", "blank"], `{"prompt":" \\n\\t",${device}}`),
  speak(["a prompt of a number", "prompt-number"], `{"prompt":1,${device}}`),
  speak(["no device", "no-device"], '{"prompt":"say: x"}'),
  speak(["a device with a line feed", "device-control"], '{"prompt":"x","hardware_id":"a\\nb"}'),
  speak(["an unknown field", "unknown-field"], `{"prompt":"x",${device},"evil":1}`),
  speak(["a prototype", "proto"], `{"__proto__":{"prompt":"x"},${device}}`),
  speak(["a format that does not exist", "format"], `{"prompt":"x",${device},"format":"exe"}`),
  speak(
    ["a format of an object's own", "format-inherited"],
    `{"prompt":"x",${device},"format":"toString"}`,
  ),
  speak(
    ["a voice of 4,000 letters", "voice-long"],
    JSON.stringify({ prompt: "x", hardware_id: "d", voice: "v".repeat(4000) }),
  ),
  speak(
    ["a voice with a control character", "voice-control"],
    `{"prompt":"x",${device},"voice":"a\\u0007"}`,
  ),
  speak(
    ["a session id with a path", "session-path"],
    `{"prompt":"x",${device},"session_id":"../../etc/passwd"}`,
  ),
  speak(
    ["a session id of 1 MB", "session-long"],
    JSON.stringify({ prompt: "x", hardware_id: "d", session_id: "s".repeat(1_000_000) }),
    /^HTTP\/1\.1 413 /,
  ),
  speak(
    ["a session id that is a prototype", "session-proto"],
    `{"prompt":"say.",${device},"session_id":"__proto__"}`,
  ),
  speak(
    ["a prompt of one byte too many", "prompt-over"],
    JSON.stringify({ prompt: "x".repeat(65_537), hardware_id: "d" }),
  ),
  speak(
    ["a body over the largest", "body-over"],
    JSON.stringify({ prompt: "x".repeat(2_000_000), hardware_id: "d" }),
    /^HTTP\/1\.1 413 /,
  ),
  speak(
    ["a prompt of escapes", "escapes"],
    `{"prompt":"${"\\u0041".repeat(10_000)}",${device}}`,
    accepted,
  ),
  usage(
    ["a negative count", "negative"],
    '{"hardwareId":"d","source":"s","model":"m","inputTokens":-1}',
  ),
  usage(
    ["a count out of range", "range"],
    '{"hardwareId":"d","source":"s","model":"m","inputTokens":1e99}',
  ),
  usage(
    ["a count that is a fraction", "fraction"],
    '{"hardwareId":"d","source":"s","model":"m","inputTokens":1.5}',
  ),
  usage(
    ["a source of 65 letters", "source-long"],
    JSON.stringify({ hardwareId: "d", source: "s".repeat(65), model: "m" }),
  ),
  usage(
    ["a model of 65 letters", "model-long"],
    JSON.stringify({ hardwareId: "d", source: "s", model: "m".repeat(65) }),
  ),
  usage(
    ["a source with a line feed", "source-control"],
    '{"hardwareId":"d","source":"a\\nb","model":"m"}',
  ),
  usage(
    ["a source that is a prototype", "source-proto"],
    '{"hardwareId":"d","source":"__proto__","model":"constructor"}',
    /^HTTP\/1\.1 200 /,
  ),
];
