import type { HostileCase, Title } from "../attack.ts";
import { asking, envelope, field, outcomes, rpc } from "../wire.ts";

const { grpcOk, grpcInvalid } = outcomes;
/** Spoken to its end, or still being spoken. */
const accepted = /^:status: 200\n(?![\s\S]*grpc-status: [1-9])[\s\S]{2000}/;
const KIB64 = 64 * 1024;

/** A turn over gRPC whose prompt comes back as its reply: it is cut, normalized and spoken. */
function prompt(title: Title, text: string, expected: RegExp = accepted): HostileCase {
  return stream(title, asking(text), expected);
}

function stream([name, guard]: Title, message: Uint8Array, expected: RegExp): HostileCase {
  const headers = { ":path": rpc.stream, "content-type": "application/grpc", te: "trailers" };
  return {
    name: `Prompt: ${name}`,
    guard: `prompt-${guard}`,
    attack: { kind: "h2", headers, body: envelope(message) },
    expected,
  };
}

function welcome([name, guard]: Title, message: Uint8Array, expected: RegExp): HostileCase {
  const headers = { ":path": rpc.welcome, "content-type": "application/grpc", te: "trailers" };
  return {
    name: `Welcome: ${name}`,
    guard: `welcome-${guard}`,
    attack: { kind: "h2", headers, body: envelope(message) },
    expected,
  };
}

/** 64 KiB of one piece again and again. */
const full = (piece: string) => piece.repeat(Math.floor(KIB64 / Buffer.byteLength(piece)));

const device = field(5, "hostile");
const session = "9b2d1f6e-4a77-4c1d-8f0a-6a1a5d2f3c4e";
const withField = (number: number, value: number | string) =>
  Buffer.concat([field(1, "Hello."), device, field(number, value)]);

/** Texts that cost time, and fields out of their range. */
export const promptCases: readonly HostileCase[] = [
  prompt(["64 KiB of quotation marks", "quotes"], full('"')),
  prompt(["64 KiB of opening brackets", "brackets"], full("(")),
  prompt(["64 KiB of full stops", "stops"], full(".")),
  prompt(["64 KiB of stops and quotation marks", "stop-quotes"], full('."')),
  prompt(["64 KiB of a letter", "letter"], full("w")),
  prompt(["64 KiB of digits", "digits"], full("9")),
  prompt(["64 KiB of white space and a letter", "spaces"], `${full(" ").slice(8)}x`),
  prompt(["64 KiB of line feeds and a letter", "lines"], `${full("\n").slice(8)}x`),
  prompt(["64 KiB of combining marks", "combining"], `e${full("\u0301").slice(8)}`),
  prompt(["64 KiB of joined emoji", "emoji"], full("👩\u200d👩\u200d👧\u200d👦")),
  prompt(["64 KiB of one Japanese character", "unspaced"], full("の")),
  prompt(["64 KiB of right-to-left marks and letters", "bidi"], full("\u202eא")),
  prompt(["64 KiB of abbreviations", "abbreviations"], full("Dr. ")),
  prompt(["64 KiB of decimal points", "decimals"], full("1.")),
  prompt(["64 KiB of dollar signs", "money"], full("$1 ")),
  prompt(["64 KiB of dates", "dates"], full("1/2/03 ")),
  prompt(["64 KiB of addresses", "addresses"], full("a@b.c ")),
  prompt(["64 KiB of slashes", "slashes"], full("http://")),
  prompt(["64 KiB of SSML", "ssml"], full("<break time='9s'/>")),
  prompt(["64 KiB of entities", "entities"], full("&amp;")),
  prompt(
    ["every control character", "controls"],
    `a${Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)).join("")}b`,
    grpcOk,
  ),
  prompt(["a NUL", "nul"], "a\0b", grpcOk),
  prompt(["characters that are none", "noncharacters"], "a\ufffe\uffffb", grpcOk),
  prompt(["one byte over 64 KiB", "over"], "x".repeat(KIB64 + 1), grpcInvalid),
  prompt(["nothing", "empty"], "", grpcInvalid),
  prompt(["white space of every kind", "blank"], " \t\n\u00a0\u2003\u3000", grpcInvalid),
  prompt(["a greeting of nothing", "greeting-empty"], "__GREETING__:", grpcInvalid),
  prompt(["a greeting in a greeting", "greeting-nested"], "__GREETING__:__GREETING__:x", grpcOk),
  stream(["no device", "no-device"], field(1, "x"), grpcInvalid),
  stream(["a device of 129 bytes", "device-long"], asking("x", "d".repeat(129)), grpcInvalid),
  stream(["a device of 1 MB", "device-1mb"], asking("x", "d".repeat(1_000_000)), grpcInvalid),
  stream(
    ["a device with an escape sequence", "device-escape"],
    asking("x", "\u001b[31mred"),
    grpcInvalid,
  ),
  stream(
    ["a device that is a prototype", "device-proto"],
    asking("Hello.", "__proto__"),
    grpcInvalid,
  ),
  stream(
    ["a width of -1", "width-negative"],
    Buffer.concat([asking("x"), Buffer.from([0x18]), Buffer.from("ffffffffffffffffff01", "hex")]),
    grpcInvalid,
  ),
  stream(["a height of 100,000", "height-huge"], withField(4, 100_000), grpcInvalid),
  stream(["a session id with a space", "session-space"], withField(6, "a b"), grpcInvalid),
  stream(
    ["a session id of 129 letters", "session-long"],
    withField(6, "s".repeat(129)),
    grpcInvalid,
  ),
  stream(["a phase that does not exist", "phase-unknown"], withField(7, 99), grpcInvalid),
  stream(["COLLECT without a session", "collect-no-session"], withField(7, 1), grpcInvalid),
  stream(
    ["COLLECT of 100 KiB", "collect-large"],
    Buffer.concat([
      device,
      field(6, session),
      field(7, 1),
      field(8, 1),
      field(9, "x".repeat(100_000)),
    ]),
    grpcInvalid,
  ),
  stream(
    ["COMMIT of nothing", "commit-empty"],
    Buffer.concat([device, field(6, session), field(7, 2)]),
    grpcInvalid,
  ),
  welcome(["nothing", "empty"], Buffer.alloc(0), grpcInvalid),
  welcome(
    ["a language that is none", "language"],
    Buffer.concat([field(1, "x"), field(4, "not a tag!")]),
    grpcInvalid,
  ),
  welcome(
    ["a language of 4,000 letters", "language-long"],
    Buffer.concat([field(1, "x"), field(4, "en-".repeat(1300))]),
    grpcInvalid,
  ),
  welcome(
    ["a voice with a quotation mark", "voice-quote"],
    Buffer.concat([field(1, "Hello."), field(3, '"><script>')]),
    grpcOk,
  ),
  welcome(
    ["a voice of 4,000 letters", "voice-long"],
    Buffer.concat([field(1, "x"), field(3, "v".repeat(4000))]),
    grpcInvalid,
  ),
];
