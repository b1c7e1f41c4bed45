import { connect } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { agentSocketPath } from "../agent-socket-path.ts";
import { nowMs } from "../clock.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import type { Scenario } from "./scenario.ts";

/** What the gateway adds to a call of the local agent, beside what servers add that do less. */
export function agent(size: Size): Scenario {
  return {
    title: "A call of the local agent, through the gateway and direct",
    about: `ProcessPrompt of the agent in examples/agent-typescript, over gRPC: over the agent's own socket, and through the gateway, one call after the other in turn, ${size.agentCalls} of each after ${size.agentWarmUpCalls} that compile the code of both ways. Beside it, the same call through a server that passes it on with connect-node alone, and through one that passes on bytes with Node's HTTP/2 and does nothing else.`,
    variants: [
      { name: "gateway", server: "agent-gateway", protocol: "gRPC" },
      { name: "connect-node", server: "agent-connect", protocol: "gRPC" },
      { name: "bytes alone", server: "agent-relay", protocol: "gRPC" },
    ],
    reference: "gateway",
    repeats: size.repeats,
    async measure({ server, signal }) {
      const near = new Http2SessionManager("http://localhost", undefined, {
        createConnection: () => connect({ path: agentSocketPath(server.pid) }),
      });
      const far = new Http2SessionManager(server.url);
      try {
        const direct = openClient("http://localhost", near);
        const through = openClient(server.url, far);
        // Waits for the agent, which starts with the server.
        const { healthy } = await through.healthCheck({}, { signal });
        if (!healthy) throw new Error("the agent did not start");
        const directMs: number[] = [];
        const throughMs: number[] = [];
        for (let at = 0; at < size.agentWarmUpCalls + size.agentCalls; at++) {
          directMs.push(await timeCall(direct, signal));
          throughMs.push(await timeCall(through, signal));
        }
        const [before, behind] = [directMs, throughMs].map((all) =>
          all.slice(size.agentWarmUpCalls),
        );
        return figuresOf(before ?? [], behind ?? []);
      } finally {
        near.abort();
        far.abort();
      }
    },
  };
}

type AgentClient = Client<typeof PythonAgentService>;

function openClient(baseUrl: string, sessionManager: Http2SessionManager): AgentClient {
  return createClient(PythonAgentService, createGrpcTransport({ baseUrl, sessionManager }));
}

async function timeCall(client: AgentClient, signal: AbortSignal): Promise<number> {
  const begunMs = nowMs();
  const { response } = await client.processPrompt({ prompt: "Hello." }, { signal });
  if (response !== "You said: Hello.") throw new Error(`the agent said ${response}`);
  return nowMs() - begunMs;
}

function figuresOf(direct: readonly number[], through: readonly number[]) {
  const [p50, throughP50] = [percentile(direct, 0.5), percentile(through, 0.5)];
  return [
    { name: "direct, p50, ms", value: p50 },
    { name: "through the server, p50, ms", value: throughP50 },
    { name: "it adds, p50, ms", value: throughP50 - p50, compared: true },
    { name: "direct, p99, ms", value: percentile(direct, 0.99) },
    { name: "through the server, p99, ms", value: percentile(through, 0.99) },
  ];
}
