// A process that runs the gateway with the example of an agent behind it.
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import { agentArgv } from "./agent-process.ts";
import { agentSocketPath } from "./agent-socket-path.ts";
import { serveLoad } from "./child.ts";

const config = readConfig({
  HOST: "127.0.0.1",
  GRPC_PORT: "0",
  HTTP_PORT: "0",
  STORAGE_ENABLED: "false",
  // One client stands for many.
  RATE_LIMIT_REQUESTS: "0",
  AGENT_COMMAND: JSON.stringify(agentArgv),
  NEIRA_SOCKET_PATH: agentSocketPath(process.pid),
});
const app = createApp(config);
const { grpc } = await app.start();
serveLoad({
  url: `http://${grpc.host}:${grpc.port}`,
  takeCancels: () => ({}),
  answers: () => ({}),
  stop: app.stop,
});
