import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where the agent of a server under test listens, so that the load can call it directly as well. */
export function agentSocketPath(serverPid: number | undefined): string {
  return join(tmpdir(), `parley-bench-agent-${serverPid}.sock`);
}
