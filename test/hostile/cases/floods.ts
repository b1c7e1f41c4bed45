import { connect } from "node:net";
import type { Attacked, HostileCase, Outcome, Title } from "../attack.ts";
import { openSession, requestOn } from "../attack.ts";
import { asking, bomb, envelope, field, http1, outcomes, rpc } from "../wire.ts";

function flood(
  [name, guard]: Title,
  run: (at: Attacked) => Promise<Outcome>,
  expected: RegExp,
): HostileCase {
  return {
    name: `Flood: ${name}`,
    guard: `flood-${guard}`,
    // Hundreds of requests that arrive together are hundreds of times the work of one.
    maxStallMs: 1000,
    attack: { kind: "script", run },
    expected,
  };
}

const grpc = { ":path": rpc.stream, "content-type": "application/grpc", te: "trailers" };
const interruptHeaders = {
  ":path": rpc.interrupt,
  "content-type": "application/grpc",
  te: "trailers",
};

/** Many requests on one connection at once. Answers how many got each status: `0: 10`, a line each. */
async function together(
  at: Attacked,
  count: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | ((at: number) => Uint8Array),
): Promise<Outcome> {
  const session = await openSession(at.grpcPort);
  try {
    const all = Array.from({ length: count }, (_, at) =>
      requestOn(session, { headers, body: typeof body === "function" ? body(at) : body }),
    );
    return countStatuses(await Promise.all(all));
  } finally {
    session.destroy();
  }
}

function countStatuses(all: readonly Outcome[]): Outcome {
  const statuses = all
    .map((outcome) => /grpc-status: (\d+)|<.*>/.exec(outcome))
    .map((found) => found?.[1] ?? found?.[0]);
  const counts = [...new Set(statuses)].map(
    (status) => `${status}: ${statuses.filter((other) => other === status).length}`,
  );
  return counts.sort().join("\n");
}

/** Opens connections, does something with each, asks for the health of a service meanwhile, and hangs up. */
async function connections(
  at: Attacked,
  count: number,
  bytes: Uint8Array | string,
): Promise<Outcome> {
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host: "127.0.0.1", port: at.httpPort });
    socket.on("error", () => undefined);
    if (bytes.length > 0) socket.write(bytes);
    return socket;
  });
  const outcome = await interrupt(at);
  for (const socket of sockets) socket.destroy();
  return outcome;
}

/** What an honest client gets meanwhile. */
async function interrupt(at: Attacked): Promise<Outcome> {
  const session = await openSession(at.grpcPort);
  const outcome = await requestOn(session, {
    headers: interruptHeaders,
    body: envelope(field(1, "somebody")),
  });
  session.destroy();
  return outcome;
}

const served = outcomes.grpcOk;
const half = http1(
  `POST ${rpc.stream}`,
  { "Content-Type": "application/grpc-web+proto", "Content-Length": "50000000" },
  envelope(Buffer.alloc(60_000), 0, 50_000_000),
);

/** Many at once: what one could do alone, a hundred must not do together. */
export const floodCases: readonly HostileCase[] = [
  flood(
    ["100 gzip bombs on one connection", "bombs"],
    (at) => together(at, 100, { ...grpc, "grpc-encoding": "gzip" }, envelope(bomb(60_000_000), 1)),
    /^8: 100$/,
  ),
  flood(
    ["20 prompts of 11 MB behind gzip", "inflated"],
    (at) =>
      together(
        at,
        20,
        { ...grpc, "grpc-encoding": "gzip" },
        envelope(bomb(11_000_000, asking("x")), 1),
      ),
    /^8: 20$/,
  ),
  flood(
    ["four bodies that stop halfway, and an interrupt", "half-bodies"],
    (at) => connections(at, 4, half),
    served,
  ),
  flood(
    ["200 bodies that stop halfway, and an interrupt", "half-bodies-many"],
    (at) => connections(at, 200, half),
    served,
  ),
  flood(
    ["300 silent connections, and an interrupt", "silent"],
    (at) => connections(at, 300, ""),
    served,
  ),
  flood(
    ["300 headers that do not end, and an interrupt", "slow-headers"],
    (at) => connections(at, 300, "GET / HTTP/1.1\r\nHost: localhost\r\nX:"),
    served,
  ),
  flood(
    ["20 turns of one device", "device-streams"],
    (at) => together(at, 20, grpc, envelope(asking("a".repeat(60), "greedy"))),
    /^0: 10\n8: 10$/,
  ),
  flood(
    ["250 turns of 250 devices on one connection", "streams"],
    (at) => together(at, 250, grpc, (index) => envelope(asking("Short.", `device-${index}`))),
    /^0: \d+\n8: \d+$/,
  ),
  flood(
    ["200 interrupts", "interrupts"],
    (at) => together(at, 200, interruptHeaders, envelope(field(1, "nobody"))),
    /^0: 200$/,
  ),
  flood(
    ["40 pictures of 1 MB", "pictures"],
    (at) =>
      together(
        at,
        40,
        grpc,
        envelope(Buffer.concat([asking("x"), field(2, "A".repeat(1_000_000))])),
      ),
    /^3: \d+/,
  ),
  flood(
    ["50 requests pipelined behind a turn, and the client gone", "pipeline-gone"],
    pipelineAndLeave,
    /^left$/,
  ),
  flood(["20 readers that never read", "slow-readers"], slowReaders, served),
];

async function pipelineAndLeave(at: Attacked): Promise<Outcome> {
  const turn = http1(
    "POST /v1/speak",
    { "Content-Type": "application/json" },
    JSON.stringify({ prompt: "b".repeat(150), hardware_id: "piped" }),
  );
  const socket = connect({ host: "127.0.0.1", port: at.httpPort });
  socket.on("error", () => undefined);
  socket.write(Buffer.concat(Array.from({ length: 50 }, () => turn)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.destroy();
  return "left";
}

async function slowReaders(at: Attacked): Promise<Outcome> {
  const request = http1(
    "POST /v1/speak",
    { "Content-Type": "application/json" },
    JSON.stringify({ prompt: "c".repeat(5000), hardware_id: "deaf", format: "pcm" }),
  );
  const sockets = Array.from({ length: 20 }, () => {
    const socket = connect({ host: "127.0.0.1", port: at.httpPort }).pause();
    socket.on("error", () => undefined);
    socket.write(request);
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const outcome = await interrupt(at);
  for (const socket of sockets) socket.destroy();
  return outcome;
}
