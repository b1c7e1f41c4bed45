import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  type ChildGateway,
  startChildGateway,
  type Witness,
  witness,
} from "../support/child-gateway.ts";
import { nginxIsMissing, startNginx } from "../support/nginx.ts";
import { closeAll, closeOf } from "../support/sockets.ts";

const MEBIBYTE = 1024 * 1024;
const CHECK = "/grpc.health.v1.Health/Check";
const STREAM = "/streaming.StreamingService/StreamAudio";
const INTERRUPT = "/streaming.StreamingService/InterruptSession";

const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
});

function envelope(message: Uint8Array, flags = 0, announcedBytes = message.length) {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(announcedBytes, 1);
  return Buffer.concat([prefix, message]);
}

/** What everybody else must have noticed: nothing. */
function expectUnharmed(seen: Witness, gapMs = 150): void {
  expect(seen.error).toBeUndefined();
  expect(seen.turns).toBeGreaterThan(0);
  expect(seen.longestGapMs).toBeLessThan(gapMs);
  expect(seen.slowestHealthMs).toBeLessThan(200);
  expect(seen.grownMebibytes).toBeLessThan(300);
}

/** How long this machine takes to copy bytes into new memory: the shortest of three times. */
function copyMs(bytes: Buffer): number {
  const times = [1, 2, 3].map(() => {
    const begunMs = performance.now();
    Buffer.concat([bytes]);
    return performance.now() - begunMs;
  });
  return Math.min(...times);
}

type Post = {
  readonly port: number;
  readonly path: string;
  readonly type: string;
  readonly body: Buffer<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
};

async function post({ port, path, type, body, headers }: Post) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

/** Sends the same call many times at once on one connection; gives each one's status of gRPC. */
async function callMany(gateway: ChildGateway, times: number, encoding: string, body: Buffer) {
  const session = connectHttp2(`http://127.0.0.1:${gateway.grpcPort}`);
  const call = async () => {
    const head = { ":method": "POST", ":path": STREAM, "content-type": "application/grpc" };
    const stream = session.request({ ...head, "grpc-encoding": encoding, te: "trailers" });
    let status: unknown;
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("error", () => undefined);
    stream.resume().end(body);
    await closeOf(stream);
    return status;
  };
  const statuses = await Promise.all(Array.from({ length: times }, call));
  session.destroy();
  return statuses;
}

// Unknown fields of two bytes each: 160 bytes in memory where they are kept.
const unknownFields = Buffer.alloc(50_000_000, Buffer.of(0x78, 0));
const inBrotli = brotliCompressSync(unknownFields);
const inGzip = gzipSync(unknownFields);
const zeros = Buffer.alloc(50_000_000);
const messages = {
  br: envelope(brotliCompressSync(zeros), 1),
  gzip: envelope(gzipSync(zeros), 1),
};

// Without the guards the pauses are of seconds. Those of a busy machine may be of some tenths.
const timed = { retry: 2 };

describe("a small request that would swell", timed, () => {
  it("is refused as a GET whose message is compressed", async () => {
    await using gateway = await startChildGateway();
    const query = `encoding=proto&base64=1&compression=br&message=${inBrotli.toString("base64url")}`;
    let text = "";
    const seen = await witness(gateway, async () => {
      const answer = await fetch(`http://127.0.0.1:${gateway.httpPort}${CHECK}?${query}`);
      text = await answer.text();
    });
    expect(text).toContain("unimplemented");
    expectUnharmed(seen);
  });

  it("is refused as a POST of 48 KB that inflates to 50 MB", async () => {
    await using gateway = await startChildGateway();
    let answer = { status: 0, text: "" };
    const seen = await witness(gateway, async () => {
      answer = await post({
        port: gateway.httpPort,
        path: CHECK,
        type: "application/proto",
        headers: { "content-encoding": "gzip" },
        body: inGzip,
      });
    });
    expect(answer.status).toBe(429);
    expectUnharmed(seen);
  });

  it("is refused as a POST of two-byte fields, not compressed", async () => {
    await using gateway = await startChildGateway();
    let answer = { status: 0, text: "" };
    const body = envelope(unknownFields);
    const seen = await witness(gateway, async () => {
      const type = "application/connect+proto";
      answer = await post({ port: gateway.httpPort, path: STREAM, type, body });
    });
    expect(answer.text).toContain("more than 4096 fields");
    expect(answer.text).toContain("invalid_argument");
    expectUnharmed(seen);
  });

  it.each([
    ["br", "12"],
    ["gzip", "8"],
  ] as const)("is refused a hundred times at once on one connection (%s)", async (name, status) => {
    await using gateway = await startChildGateway();
    const restMebibytes = gateway.memory();
    const statuses = new Set<unknown>();
    const seen = await witness(gateway, async () => {
      for (const each of await callMany(gateway, 100, name, messages[name])) statuses.add(each);
    });
    expect([...statuses]).toEqual([status]);
    expectUnharmed(seen);
    await vi.waitFor(() => expect(gateway.memory() - restMebibytes).toBeLessThan(150), {
      timeout: 10_000,
      interval: 100,
    });
  });
});

describe("the largest messages that are allowed", timed, () => {
  it("disturb nobody: 50 MB of binary, 11 MB in JSON", async () => {
    await using gateway = await startChildGateway();
    const field = Buffer.alloc(50 * MEBIBYTE);
    // Field 15, length-delimited, with its length in four bytes.
    const lengthBytes = [0, 7, 14, 21].map((shift) => ((field.length - 5) >> shift) & 0x7f);
    field.set([0x7a, ...lengthBytes.map((byte, at) => (at < 3 ? byte | 0x80 : byte))]);
    const json = { prompt: "Hi.", hardware_id: "d", screenshot: "A".repeat(11_000_000) };
    const answers: string[] = [];
    const bodies = {
      "connect+proto": envelope(field),
      "connect+json": envelope(Buffer.from(JSON.stringify(json))),
    };
    const seen = await witness(gateway, async () => {
      for (const [type, body] of Object.entries(bodies)) {
        const call = { port: gateway.httpPort, path: STREAM, type: `application/${type}`, body };
        answers.push((await post(call)).text);
      }
    });
    // Both were parsed, and refused for what is in them.
    expect(answers[0]).toContain("hardware_id is required");
    expect(answers[1]).toContain("screenshot must be");
    // Not much longer than this machine takes to copy the larger: new pages of memory may be slow.
    expectUnharmed(seen, Math.max(150, 1.5 * copyMs(field)));
  });
});

/** Begins a body of so many bytes from an address of this machine, and never ends it. */
async function sendHalf(port: number, localAddress: string, bytes: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  sockets.push(socket);
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  const head = `POST ${STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\n`;
  socket.write(`${head}Content-Length: ${bytes + 5}\r\n\r\n`);
  const half = envelope(Buffer.alloc(bytes - 1), 0, bytes);
  await new Promise<void>((resolve) => {
    socket.write(half, () => resolve());
    socket.once("close", () => resolve());
  });
  return socket;
}

/** Sends a whole message of so many bytes from an address, and gives the answer. */
async function sendWhole(port: number, localAddress: string, bytes: number): Promise<string> {
  const field = Buffer.alloc(bytes);
  field.set([0x7a, ((bytes - 5) & 0x7f) | 0x80, ((bytes - 5) >> 7) | 0x80]);
  field.set([((bytes - 5) >> 14) | 0x80, (bytes - 5) >> 21], 3);
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  sockets.push(socket);
  socket.on("error", () => undefined);
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  const head = `POST ${STREAM} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/connect+proto\r\n`;
  socket.write(`${head}Content-Length: ${bytes + 5}\r\n\r\n`);
  socket.write(envelope(field));
  await closeOf(socket);
  return text;
}

const soon = { timeout: 15_000, interval: 200 };

describe("bodies that are never finished", timed, () => {
  it("keep large ones out, and let interrupts and prompts pass", async () => {
    await using gateway = await startChildGateway();
    for (const address of ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]) {
      await sendHalf(gateway.httpPort, address, 50 * MEBIBYTE);
    }
    const large = () => sendWhole(gateway.httpPort, "127.0.0.1", 6 * MEBIBYTE);
    await vi.waitFor(
      async () => expect(await large()).toContain("gateway busy; retry in 5 s"),
      soon,
    );
    const seen = await witness(gateway, async () => {
      const body = Buffer.from('{"hardware_id":"d"}');
      const type = "application/json";
      const answer = await post({ port: gateway.httpPort, path: INTERRUPT, type, body });
      expect(answer).toEqual({ status: 200, text: expect.stringContaining('"success":true') });
    });
    expectUnharmed(seen);
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => expect(await large()).toContain("hardware_id is required"), soon);
  });

  it.skipIf(nginxIsMissing && !process.env["CI"])(
    "count for their own client behind a proxy that is trusted",
    async () => {
      const outcomes: string[] = [];
      for (const proxies of ["127.0.0.1", "192.0.2.1"]) {
        const env = { MAX_MESSAGE_BYTES: String(32 * MEBIBYTE), TRUSTED_PROXIES: proxies };
        await using gateway = await startChildGateway(env);
        await using nginx = await startNginx(gateway.httpPort);
        for (let count = 0; count < 2; count++)
          await sendHalf(nginx.port, "127.0.0.2", 32 * MEBIBYTE);
        const send = (address: string) => sendWhole(nginx.port, address, 3 * MEBIBYTE);
        await vi.waitFor(
          async () => expect(await send("127.0.0.2")).toContain("gateway busy"),
          soon,
        );
        outcomes.push(await send("127.0.0.3"));
      }
      expect(outcomes[0]).toContain("hardware_id is required");
      // The other proxy is nobody's here, so all are one client and share its fate.
      expect(outcomes[1]).toContain("gateway busy");
    },
  );
});

describe("a body that nobody reads", () => {
  const refused = [
    ["404", "POST /nowhere", "application/json"],
    ["200", "POST /streaming.StreamingService/Nothing", "application/grpc"],
    ["405", "POST /health", "application/json"],
    ["405", `PUT ${STREAM}`, "application/grpc"],
    ["415", `POST ${STREAM}`, "text/plain"],
  ] as const;

  it.each(refused)("is cut after 1 MiB (%s to %s)", async (status, request, type) => {
    await using gateway = await startChildGateway();
    const socket = connect(gateway.httpPort, "127.0.0.1");
    sockets.push(socket);
    let text = "";
    socket
      .on("error", () => undefined)
      .on("data", (bytes) => {
        text += bytes.toString("latin1");
      });
    socket.write(
      `${request} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 500000000\r\n\r\n`,
    );
    const piece = Buffer.alloc(64 * 1024);
    while (!socket.destroyed && socket.bytesWritten < 500_000_000) {
      if (!socket.write(piece))
        await Promise.race([once(socket, "drain"), closeOf(socket)]).catch(() => undefined);
    }
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    // What the kernel keeps between the two is beyond it.
    expect(socket.bytesWritten).toBeLessThan(16 * MEBIBYTE);
  });

  it.each(refused)("is cut after 1 MiB over HTTP/2 (%s to %s)", async (status, request, type) => {
    await using gateway = await startChildGateway();
    const session = connectHttp2(`http://127.0.0.1:${gateway.httpPort}`);
    const [method = "", path = ""] = request.split(" ");
    const head = { ":method": method, ":path": path, "content-type": type };
    const stream = session.request(head, { endStream: false });
    let answered: unknown;
    stream.on("response", (headers) => {
      answered = headers[":status"];
    });
    stream.on("error", () => undefined).resume();
    let sentBytes = 0;
    const piece = Buffer.alloc(64 * 1024);
    while (!stream.closed && sentBytes < 100_000_000) {
      sentBytes += piece.length;
      if (!stream.write(piece))
        await Promise.race([once(stream, "drain"), closeOf(stream)]).catch(() => undefined);
    }
    expect(String(answered)).toBe(status);
    expect(sentBytes).toBeLessThan(4 * MEBIBYTE);
    session.destroy();
  });

  it("leaves its connection open where it is small", async () => {
    await using gateway = await startChildGateway();
    const socket = connect(gateway.httpPort, "127.0.0.1");
    sockets.push(socket);
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    const head = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n";
    for (let count = 0; count < 3; count++) socket.write(head + "x".repeat(500_000));
    await vi.waitFor(() => expect(text.match(/HTTP\/1.1 404/g)).toHaveLength(3), soon);
    expect(socket.destroyed).toBe(false);
  });
});
