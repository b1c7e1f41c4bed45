// An agent that goes wrong in the way that its argument names.
import { spawn } from "node:child_process";
import { createServer, type ServerHttp2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";

const [fault = "none", value = ""] = process.argv.slice(2);
const sessions = new Set<ServerHttp2Session>();
const received: string[] = [];
const cancelled: string[] = [];
/** The `traceparent` of the last prompt, and of the call in progress. */
const traces = { prompt: "", call: "" };

const functions: Readonly<Record<string, (parameters: Record<string, string>) => string>> = {
  /** Its environment. */
  env: () => JSON.stringify(process.env),
  pid: () => String(process.pid),
  /** Starts a process that outlives its parent unless it is killed with it. */
  child: () => String(spawn("sleep", ["600"], { stdio: "ignore" }).pid),
  /** Prompts that it got. */
  received: () => received.join(","),
  /** Calls whose cancel it has noticed. */
  cancelled: () => cancelled.join(","),
  /** Sends GOAWAY on every connection, with a code, once this call is answered. */
  goaway({ code = "0" }) {
    setImmediate(() => {
      for (const session of sessions) session.goaway(Number(code));
    });
    return "";
  },
  traceparent: () => traces.call,
  "prompt-traceparent": () => traces.prompt,
  exit: () => process.exit(7),
};

function routes(router: ConnectRouter): void {
  router.service(PythonAgentService, {
    healthCheck() {
      if (fault === "crash") setTimeout(() => process.exit(9), 100);
      return { healthy: fault !== "unhealthy", message: "", version: "fault" };
    },
    async processPrompt({ prompt }, { signal }) {
      received.push(prompt);
      signal.addEventListener("abort", () => cancelled.push(prompt));
      if (prompt === "hang") await sleep(600_000, undefined, { signal });
      if (prompt === "refuse") throw new ConnectError("no such topic", Code.NotFound);
      if (prompt === "fail") throw new Error("secret of the agent");
      return { success: true, response: `You said: ${prompt}` };
    },
    async *processStreamingPrompt({ prompt }, { signal, requestHeader }) {
      traces.prompt = requestHeader.get("traceparent") ?? "";
      received.push(prompt);
      signal.addEventListener("abort", () => cancelled.push(prompt));
      for (const delta of ["One ", "two ", "three "]) {
        yield { delta };
        await sleep(20, undefined, { signal });
      }
      if (fault === "die-midway") process.kill(process.pid, "SIGKILL");
      if (prompt === "hang") await sleep(600_000, undefined, { signal });
      yield { delta: "done." };
      yield { finished: true };
    },
    callCustomFunction({ functionName, parameters }, { requestHeader }) {
      traces.call = requestHeader.get("traceparent") ?? "";
      return { success: true, result: functions[functionName]?.(parameters) ?? "" };
    },
    // Answers with what it was told to do, so that a test sees that the call came through.
    desktopClick: ({ x, y }) => ({ success: true, x, y }),
  });
}

function listen(): void {
  const server = createServer(connectNodeAdapter({ routes }));
  server.on("session", (session) => sessions.add(session));
  server.listen(process.env["NEIRA_SOCKET_PATH"] ?? "", () => {
    if (fault === "garbage") process.stdout.write("\n");
    if (fault !== "silent") console.log("AGENT_READY");
  });
}

process.stdin.once("end", () => process.exit()).resume();
switch (fault) {
  case "exit":
    process.exit(3);
    break;
  case "never-ready":
    setInterval(() => undefined, 1000);
    break;
  case "deaf":
    console.log("AGENT_READY");
    setInterval(() => undefined, 1000);
    break;
  case "slow":
    setTimeout(listen, Number(value));
    break;
  case "stubborn":
    process.on("SIGTERM", () => undefined);
    process.stdin.removeAllListeners("end");
    listen();
    break;
  case "garbage":
    // Half of it is no UTF-8, and it has few line ends.
    for (let at = 0; at < 64; at++) process.stdout.write(Buffer.alloc(16_384, 0x80 + at));
    listen();
    break;
  case "flood":
    setInterval(() => process.stderr.write(`${"flood ".repeat(500)}\n`.repeat(100)), 1);
    listen();
    break;
  default:
    listen();
}
