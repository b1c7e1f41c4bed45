// A process that passes a call of the agent on with connect-node alone, server and client, and does
// nothing else.
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { PythonAgentService } from "../gen/neira/agent/agent_pb.ts";
import { startAgent } from "./agent-process.ts";
import { listenBare } from "./bare-server.ts";
import { serveLoad } from "./child.ts";

const baseUrl = "http://localhost";
const agent = await startAgent();
const { createConnection } = agent;
const sessionManager = new Http2SessionManager(baseUrl, undefined, { createConnection });
const client = createClient(PythonAgentService, createGrpcTransport({ baseUrl, sessionManager }));
const server = await listenBare((router) =>
  router.service(PythonAgentService, {
    healthCheck: (request, { signal }) => client.healthCheck(request, { signal }),
    processPrompt: (request, { signal }) => client.processPrompt(request, { signal }),
  }),
);
serveLoad({
  url: server.url,
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    sessionManager.abort();
    await server.stop();
    await agent.stop();
  },
});
