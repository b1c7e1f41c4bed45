import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";

type Value = string | number | boolean | readonly Value[] | undefined;
type Attributes = Record<string, Value>;

/** A span as it came. Ids are in hex; of a span without a parent `parentId` is empty. */
export type ReceivedSpan = {
  name: string;
  traceId: string;
  spanId: string;
  parentId: string;
  kind: number;
  /** 2 is an error. */
  status: number;
  attributes: Attributes;
  events: string[];
  readonly resource: Attributes;
};

/** A point of a histogram. */
type ReceivedPoint = {
  name: string;
  unit: string;
  count: number;
  sum: number;
  attributes: Attributes;
};

/** A collector that takes OTLP over HTTP in protobuf. */
export type OtlpReceiver = AsyncDisposable & {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly points: readonly ReceivedPoint[];
  /** All bytes that came, as text, to look for what must not be there. */
  text(): string;
  /** The headers of the last request. */
  headers(): Readonly<Record<string, unknown>>;
};

/** Starts a collector on a free port. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const points: ReceivedPoint[] = [];
  const bodies: Buffer[] = [];
  let headers = {};
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    bodies.push(bytes);
    headers = request.headers;
    if (request.url === "/v1/traces") spans.push(...readSpans(bytes));
    if (request.url === "/v1/metrics") points.push(...readPoints(bytes));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    points,
    text: () => Buffer.concat(bodies).toString("latin1"),
    headers: () => headers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Calls `take` with the number of each field, which reads it or returns false. */
function eachField(
  bytes: Uint8Array,
  take: (field: number, reader: BinaryReader) => unknown,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const before = reader.pos;
    take(field, reader);
    if (reader.pos === before) reader.skip(type as WireType, field);
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function readValue(bytes: Uint8Array): Value {
  let value: Value;
  eachField(bytes, (field, reader) => {
    if (field === 1) value = reader.string();
    if (field === 2) value = reader.bool();
    if (field === 3) value = Number(reader.int64());
    if (field === 4) value = reader.double();
    if (field === 5) {
      const all: Value[] = [];
      eachField(reader.bytes(), (_, items) => all.push(readValue(items.bytes())));
      value = all;
    }
  });
  return value;
}

function addAttribute(attributes: Attributes, bytes: Uint8Array): void {
  let key = "";
  let value: Value;
  eachField(bytes, (field, reader) => {
    if (field === 1) key = reader.string();
    if (field === 2) value = readValue(reader.bytes());
  });
  attributes[key] = value;
}

/** Reads `resource` (1) and, of each scope (2), the items (2). */
function eachItem(bytes: Uint8Array, take: (item: Uint8Array, resource: Attributes) => void): void {
  eachField(bytes, (_, request) => {
    const resource: Attributes = {};
    eachField(request.bytes(), (field, reader) => {
      if (field === 1) {
        eachField(reader.bytes(), (at, own) => at === 1 && addAttribute(resource, own.bytes()));
      }
      if (field === 2) {
        eachField(reader.bytes(), (at, scope) => at === 2 && take(scope.bytes(), resource));
      }
    });
  });
}

/** The fields of a span, by number. */
const spanFields: Readonly<Record<number, (span: ReceivedSpan, reader: BinaryReader) => void>> = {
  1: (span, reader) => {
    span.traceId = hex(reader.bytes());
  },
  2: (span, reader) => {
    span.spanId = hex(reader.bytes());
  },
  4: (span, reader) => {
    span.parentId = hex(reader.bytes());
  },
  5: (span, reader) => {
    span.name = reader.string();
  },
  6: (span, reader) => {
    span.kind = reader.int32();
  },
  9: (span, reader) => addAttribute(span.attributes, reader.bytes()),
  11: (span, reader) =>
    eachField(reader.bytes(), (at, event) => at === 2 && span.events.push(event.string())),
  15: (span, reader) =>
    eachField(reader.bytes(), (at, status) => {
      if (at === 3) span.status = status.int32();
    }),
};

function readSpans(bytes: Uint8Array): readonly ReceivedSpan[] {
  const spans: ReceivedSpan[] = [];
  eachItem(bytes, (item, resource) => {
    const ids = { name: "", traceId: "", spanId: "", parentId: "", kind: 0, status: 0 };
    const span: ReceivedSpan = { ...ids, attributes: {}, events: [], resource };
    eachField(item, (field, reader) => spanFields[field]?.(span, reader));
    spans.push(span);
  });
  return spans;
}

function readPoints(bytes: Uint8Array): readonly ReceivedPoint[] {
  const points: ReceivedPoint[] = [];
  eachItem(bytes, (item) => {
    const names = { name: "", unit: "" };
    const own: ReceivedPoint[] = [];
    eachField(item, (field, reader) => {
      if (field === 1) names.name = reader.string();
      if (field === 3) names.unit = reader.string();
      if (field === 9) eachField(reader.bytes(), (at, all) => at === 1 && own.push(readPoint(all)));
    });
    points.push(...own.map((point) => ({ ...point, ...names })));
  });
  return points;
}

function readPoint(all: BinaryReader): ReceivedPoint {
  const point: ReceivedPoint = { name: "", unit: "", count: 0, sum: 0, attributes: {} };
  eachField(all.bytes(), (field, reader) => {
    if (field === 4) point.count = Number(reader.fixed64());
    if (field === 5) point.sum = reader.double();
    if (field === 9) addAttribute(point.attributes, reader.bytes());
  });
  return point;
}
