// Other people's client libraries, unmodified, in a process of their own:
//
//   node client.mjs LIBRARY[/VARIANT] URL
//
// opens one client and reads its calls from standard input, a JSON object a line:
//
//   {"id": 1, "method": "StreamAudio", "request": base64}    begins a call
//   {"id": 1, "cancel": true}                                cancels it, as the library does
//
// Each message that the library hands over becomes {"id": 1, "message": base64} on standard output. A
// call ends with {"id": 1, "end": true} or {"id": 1, "status": {"code", "message", "reason"}}. The end
// of standard input ends the process.
import { createInterface } from "node:readline";

const libraries = {
  nice: () => import("./nice.mjs"),
  improbable: () => import("./improbable.mjs"),
  "protobuf-ts": () => import("./protobuf-ts.mjs"),
  "connect-es-1": () => import("./connect-es-1.mjs"),
};

/** Whether the answer of a method is a stream. */
const streams = { StreamAudio: true, InterruptSession: false };

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const [library, url] = process.argv.slice(2);
const [name, variant] = library.split("/");
const { open, failureOf } = await libraries[name]();
const client = await open(url, variant);
const running = new Map();

async function run({ id, method, request }) {
  const cancel = new AbortController();
  running.set(id, cancel);
  try {
    const call = {
      name: method,
      streams: streams[method],
      request: Buffer.from(request, "base64"),
    };
    for await (const bytes of client(call, cancel.signal)) {
      print({ id, message: Buffer.from(bytes).toString("base64") });
    }
    print({ id, end: true });
  } catch (error) {
    print({ id, status: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  if (call.cancel) running.get(call.id)?.abort();
  else run(call);
}
// Channels of some libraries would keep the process.
process.exit(0);
