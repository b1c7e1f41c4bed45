// A local agent in TypeScript: what docs/agent.md describes, in one file. The gateway starts it:
//
//     AGENT_COMMAND='["node", "examples/agent-typescript/agent.ts"]' npm start

import { rm } from "node:fs/promises";
import { createServer } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type ContextItem, PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";

/** What the functions of CallCustomFunction do with their parameters. */
const functions: Readonly<Record<string, (parameters: Record<string, string>) => string>> = {
  echo: ({ text = "" }) => text,
  add: ({ a = "0", b = "0" }) => String(Number(a) + Number(b)),
  functions: () => Object.keys(functions).join(", "),
};

/** Items by session and key. A real agent would limit how many it keeps. */
const contexts = new Map<string, Map<string, ContextItem>>();

function routes(router: ConnectRouter): void {
  // Methods that are not here answer UNIMPLEMENTED.
  router.service(PythonAgentService, {
    healthCheck: () => ({ healthy: true, message: "ready", version: "1.0.0" }),

    processPrompt: ({ prompt }) => ({ success: true, response: replyTo(prompt) }),

    async *processStreamingPrompt({ prompt, context }, { signal }) {
      // In a turn that another model began, the last item is what the user has heard already.
      const prefix = context.find(({ type }) => type === "prefix")?.value ?? "";
      const reply = replyTo(prompt);
      const rest = reply.startsWith(prefix) ? reply.slice(prefix.length) : reply;
      for (const delta of rest.split(/(?<= )/)) {
        // The signal fires when the user interrupts: a model has to be stopped then.
        await sleep(5, undefined, { signal });
        yield { delta };
      }
      yield { finished: true };
    },

    setContext({ sessionId, items }) {
      const kept = contexts.get(sessionId) ?? new Map<string, ContextItem>();
      contexts.set(sessionId, kept);
      for (const item of items) kept.set(item.key, item);
      return { success: true, items };
    },

    getContext({ sessionId, keys }) {
      const kept = [...(contexts.get(sessionId)?.values() ?? [])];
      const items = kept.filter(({ key }) => keys.length === 0 || keys.includes(key));
      return { success: true, items };
    },

    callCustomFunction({ functionName, parameters }) {
      const call = Object.hasOwn(functions, functionName) ? functions[functionName] : undefined;
      if (!call) return { success: false, error: `there is no function ${functionName}` };
      return { success: true, result: call(parameters) };
    },
  });
}

function replyTo(prompt: string): string {
  if (prompt.trim() === "")
    throw new ConnectError("prompt must not be blank", Code.InvalidArgument);
  return `You said: ${prompt}`;
}

const address = process.env["NEIRA_SOCKET_PATH"] ?? "";
const [, port] = /^127\.0\.0\.1:(\d+)$/.exec(address) ?? [];
const server = createServer(connectNodeAdapter({ routes }));

function stop(): void {
  if (!port) void rm(address, { force: true });
  server.close();
  process.exit(0);
}

process.once("SIGTERM", stop);
// The gateway keeps standard input open. Its end means that the gateway is gone.
process.stdin.once("end", stop).resume();

const onListening = () => console.log("AGENT_READY");
if (port) server.listen(Number(port), "127.0.0.1", onListening);
else server.listen(address, onListening);
