import { frame, frameTypes, headerBlock, preface } from "../../support/sockets.ts";
import type { HostileCase, Title } from "../attack.ts";
import { asking, envelope, rpc } from "../wire.ts";

const { data, headers, reset, settings, ping } = frameTypes;
const types = { priority: 2, pushPromise: 5, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;

/** How a connection is closed, by HTTP/2's error codes. */
const goaway = {
  none: /^goaway 0$[\s\S]*<closed>/m,
  protocolError: /^goaway 1$[\s\S]*<closed>/m,
  /** INTERNAL_ERROR is what Node says of a flood. */
  tooMuch: /^goaway 2$/m,
  flowControl: /^goaway 3$[\s\S]*<closed>/m,
  streamClosed: /^goaway 5$[\s\S]*<closed>/m,
  frameSize: /^goaway 6$[\s\S]*<closed>/m,
  compression: /^goaway 9$[\s\S]*<closed>/m,
} as const;
const resetStream = /^reset 1 1$/m;
const answered = /^headers$/m;
/** Nothing but the connection's own beginning. */
const ignored = /^settings\n(window\n)?<open>$/;
const hello = Buffer.concat([Buffer.from(preface, "latin1"), frame({ type: settings })]);

const good = {
  ":method": "POST",
  ":scheme": "http",
  ":authority": "localhost",
  ":path": rpc.stream,
  "content-type": "application/grpc",
  te: "trailers",
};

/** Frames behind a good beginning. */
function frames([name, guard]: Title, expected: RegExp, bytes: readonly Uint8Array[]): HostileCase {
  return {
    name: `HTTP/2: ${name}`,
    guard: `h2-${guard}`,
    attack: { kind: "frames", bytes: Buffer.concat([hello, ...bytes]) },
    expected,
  };
}

const be32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const open = (fields: Readonly<Record<string, string>>, flags = END_HEADERS, stream = 1) =>
  frame({ type: headers, flags, stream, payload: headerBlock(fields) });
const without = (name: string) =>
  Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
const many = (count: number, make: (index: number) => Uint8Array) =>
  Array.from({ length: count }, (_, index) => make(index));
const odd = (index: number) => 2 * index + 1;

/** Frames that break the protocol, or keep it in order to do harm. */
export const http2Cases: readonly HostileCase[] = [
  frames(["data on a stream that was never opened", "data-idle"], goaway.protocolError, [
    frame({ type: data, stream: 5, payload: Buffer.alloc(10) }),
  ]),
  frames(["data on stream 0", "data-zero"], goaway.protocolError, [
    frame({ type: data, stream: 0, payload: Buffer.alloc(10) }),
  ]),
  frames(["padding longer than the frame", "padding"], goaway.protocolError, [
    open(good),
    frame({ type: data, flags: 8, stream: 1, payload: Buffer.from([200, 1]) }),
  ]),
  frames(["a frame above the largest size", "frame-size"], goaway.frameSize, [
    frame({ type: data, stream: 1, payload: Buffer.alloc(20_000) }),
  ]),
  frames(["settings of 5 bytes", "settings-length"], goaway.frameSize, [
    frame({ type: settings, payload: Buffer.alloc(5) }),
  ]),
  frames(["a window above 2^31", "settings-window"], goaway.flowControl, [
    frame({ type: settings, payload: Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff]) }),
  ]),
  frames(
    ["10,000 settings", "settings-flood"],
    goaway.tooMuch,
    many(10_000, () => frame({ type: settings })),
  ),
  frames(
    ["10,000 pings", "ping-flood"],
    goaway.tooMuch,
    many(10_000, () => frame({ type: ping, payload: Buffer.alloc(8) })),
  ),
  frames(["a ping of 3 bytes", "ping-length"], goaway.frameSize, [
    frame({ type: ping, payload: Buffer.alloc(3) }),
  ]),
  frames(["a stream of an even number", "stream-even"], goaway.protocolError, [
    open(good, END_HEADERS, 2),
  ]),
  frames(["streams in falling order", "stream-order"], ignored, [
    open(good, END_HEADERS, 5),
    open(good, END_HEADERS, 3),
  ]),
  frames(["no path", "no-path"], resetStream, [open(without(":path"), END_HEADERS | END_STREAM)]),
  frames(["no method", "no-method"], resetStream, [
    open(without(":method"), END_HEADERS | END_STREAM),
  ]),
  frames(["no scheme", "no-scheme"], resetStream, [
    open(without(":scheme"), END_HEADERS | END_STREAM),
  ]),
  frames(["no authority", "no-authority"], resetStream, [
    open(without(":authority"), END_HEADERS | END_STREAM),
  ]),
  frames(["a malformed authority", "authority-malformed"], answered, [
    open({ ...good, ":authority": "[" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a rebound authority", "authority-rebound"], answered, [
    open({ ...good, ":authority": "evil.example" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a host beside the authority", "authority-host"], answered, [
    open({ ...good, host: "evil.example" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a pseudo-header that does not exist", "pseudo-unknown"], resetStream, [
    open({ ...good, ":evil": "1" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a pseudo-header behind others", "pseudo-late"], resetStream, [
    open(
      { "content-type": "application/grpc", ...without("content-type") },
      END_HEADERS | END_STREAM,
    ),
  ]),
  frames(["a name in capitals", "name-case"], resetStream, [
    open({ ...good, "X-Evil": "1" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a connection header", "connection"], resetStream, [
    open({ ...good, connection: "close" }, END_HEADERS | END_STREAM),
  ]),
  frames(["te other than trailers", "te"], resetStream, [
    open({ ...good, te: "gzip" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a value with a line feed", "value-lf"], answered, [
    open({ ...good, x: "a\nb" }, END_HEADERS | END_STREAM),
  ]),
  frames(["a length other than the body's", "content-length"], resetStream, [
    open({ ...good, "content-length": "9" }),
    frame({ type: data, flags: END_STREAM, stream: 1, payload: Buffer.alloc(3) }),
  ]),
  frames(["a header block that is no HPACK", "hpack"], goaway.compression, [
    frame({ type: headers, flags: END_HEADERS, stream: 1, payload: Buffer.alloc(40, 0xff) }),
  ]),
  frames(["an HPACK index out of range", "hpack-index"], goaway.compression, [
    frame({ type: headers, flags: END_HEADERS, stream: 1, payload: Buffer.from([0xfe]) }),
  ]),
  frames(["an HPACK table that swells", "hpack-table"], goaway.compression, [
    frame({
      type: headers,
      flags: END_HEADERS,
      stream: 1,
      payload: Buffer.from([0x3f, 0xff, 0xff, 0xff, 0x7f]),
    }),
  ]),
  frames(["a header that never ends", "continuation-flood"], goaway.tooMuch, [
    frame({ type: headers, stream: 1, payload: headerBlock(good) }),
    ...many(2000, (at) =>
      frame({
        type: types.continuation,
        stream: 1,
        payload: headerBlock({ [`x${at}`]: "y".repeat(100) }),
      }),
    ),
  ]),
  frames(["a continuation of nothing", "continuation-alone"], goaway.protocolError, [
    frame({
      type: types.continuation,
      flags: END_HEADERS,
      stream: 1,
      payload: headerBlock(good),
    }),
  ]),
  frames(["another frame within a header", "continuation-broken"], goaway.protocolError, [
    frame({ type: headers, stream: 1, payload: headerBlock(good) }),
    frame({ type: ping, payload: Buffer.alloc(8) }),
  ]),
  frames(["a promise by a client", "push-promise"], goaway.protocolError, [
    open(good),
    frame({
      type: types.pushPromise,
      flags: END_HEADERS,
      stream: 1,
      payload: Buffer.concat([be32(2), headerBlock(good)]),
    }),
  ]),
  frames(["a window of 0", "window-zero"], goaway.protocolError, [
    open(good),
    frame({ type: types.windowUpdate, stream: 1, payload: be32(0) }),
  ]),
  frames(
    ["a window that overflows", "window-overflow"],
    goaway.flowControl,
    many(3, () => frame({ type: types.windowUpdate, payload: be32(0x7fffffff) })),
  ),
  frames(["a reset of an idle stream", "reset-idle"], goaway.protocolError, [
    frame({ type: reset, stream: 9, payload: be32(8) }),
  ]),
  {
    ...frames(
      ["1,500 streams opened and reset", "rapid-reset"],
      goaway.tooMuch,
      many(1500, (at) =>
        Buffer.concat([
          open(good, END_HEADERS, odd(at)),
          frame({ type: reset, stream: odd(at), payload: be32(8) }),
        ]),
      ),
    ),
    // The guard is nghttp2's, and it counts only after each stream has been handed over.
    maxStallMs: 1500,
  },
  frames(
    ["400 streams that say no more", "streams-open"],
    goaway.tooMuch,
    many(400, (at) => open(good, END_HEADERS, odd(at))),
  ),
  frames(["a priority on itself", "priority-self"], ignored, [
    open(good),
    frame({
      type: types.priority,
      stream: 1,
      payload: Buffer.concat([be32(1), Buffer.from([16])]),
    }),
  ]),
  frames(
    ["10,000 priorities", "priority-flood"],
    ignored,
    many(10_000, (at) =>
      frame({
        type: types.priority,
        stream: odd(at),
        payload: Buffer.concat([be32(0), Buffer.from([1])]),
      }),
    ),
  ),
  frames(["10,000 empty data frames", "data-empty"], goaway.tooMuch, [
    open(good),
    ...many(10_000, () => frame({ type: data, stream: 1 })),
  ]),
  frames(["a prompt in frames of one byte", "data-one-byte"], ignored, [
    open(good),
    ...[...envelope(asking("x".repeat(20_000)))].map((byte) =>
      frame({ type: data, stream: 1, payload: Buffer.from([byte]) }),
    ),
  ]),
  frames(["a farewell, and requests behind it", "goaway"], goaway.none, [
    frame({ type: types.goaway, payload: Buffer.alloc(8) }),
    open(good),
  ]),
  frames(
    ["1,000 farewells", "goaway-flood"],
    goaway.none,
    many(1000, () => frame({ type: types.goaway, payload: Buffer.alloc(8) })),
  ),
  frames(
    ["a type that does not exist", "frame-unknown"],
    ignored,
    many(100, () => frame({ type: 0xee, payload: Buffer.alloc(100) })),
  ),
  frames(["a body behind its end", "data-after-end"], goaway.streamClosed, [
    open(good, END_HEADERS | END_STREAM),
    frame({ type: data, stream: 1, payload: Buffer.alloc(5) }),
  ]),
];
