import { z } from "zod";
import { argv, list, seconds } from "./setting-types.ts";

/** Methods of the agent that act on its machine. */
const hostMethods = [
  "ProcessFile",
  "ListFiles",
  "DesktopClick",
  "DesktopType",
  "BrowserNavigate",
  "BrowserClick",
  "BrowserGetHTML",
] as const;
/** A path that a socket can have on every system: macOS takes 103 bytes. */
const socketPath = z
  .string()
  .min(1)
  .refine((path) => Buffer.byteLength(path) <= 103, "must be at most 103 bytes long");

/** The settings of the local agent. */
export const agentSettings = {
  AGENT_COMMAND: argv
    .optional()
    .describe(
      'Program of the local agent and its arguments, as a JSON array: `["python3", "agent.py"]`. The gateway starts it, restarts it and serves its methods; see docs/agent.md.',
    ),
  AGENT_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Folder with the agent's program for each platform, by Node's names: `linux-x64/neira-agent`, `win32-x64/neira-agent.exe`. Used without `AGENT_COMMAND`.",
    ),
  NEIRA_SOCKET_PATH: socketPath
    .optional()
    .describe(
      "Where the agent listens: a path of at most 103 bytes for its socket, a Windows pipe, or a loopback address such as `127.0.0.1:50061`. Unset: a socket in a new folder that only the gateway's user can enter; on Windows a free loopback port.",
    ),
  AGENT_ALLOW: list
    .pipe(z.array(z.enum(hostMethods)))
    .default([])
    .describe(
      "Methods of the agent that act on this machine and that clients may call: `ProcessFile`, `ListFiles`, `DesktopClick`, `DesktopType`, `BrowserNavigate`, `BrowserClick`, `BrowserGetHTML`. Unset: none of them.",
    ),
  AGENT_READY_TIMEOUT: seconds(600)
    .default(15)
    .describe(
      "Seconds that the agent may take to write `AGENT_READY`. Then three health checks decide.",
    ),
  AGENT_RETRY_INTERVAL: seconds(3600)
    .default(30)
    .describe("Seconds between attempts to start an agent while there is none."),
  AGENT_TIMEOUT: seconds(3600)
    .default(30)
    .describe(
      "Seconds that one call of the agent may take. A client's own deadline may be shorter.",
    ),
};
