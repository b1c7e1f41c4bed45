import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { agentSocketPath } from "./agent-socket-path.ts";

const entry = fileURLToPath(new URL("../examples/agent-typescript/agent.ts", import.meta.url));

/** The command that runs the example of an agent. */
export const agentArgv = [process.execPath, entry] as const;

/** An agent of this process's own, for a server that has no supervisor. */
type AgentProcess = {
  /** Connects to its socket. */
  readonly createConnection: () => ReturnType<typeof connect>;
  stop(): Promise<void>;
};

/** Starts the example of an agent, and waits until it listens. */
export async function startAgent(): Promise<AgentProcess> {
  const path = agentSocketPath(process.pid);
  const [command, ...args] = agentArgv;
  const child = spawn(command, args, {
    env: { NEIRA_SOCKET_PATH: path },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const [first] = await Promise.race([once(lines, "line"), once(child, "exit")]);
  if (first !== "AGENT_READY") throw new Error("the agent did not start");
  return {
    createConnection: () => connect({ path }),
    async stop() {
      // The end of its standard input ends it.
      child.stdin.end();
      await once(child, "exit");
    },
  };
}
