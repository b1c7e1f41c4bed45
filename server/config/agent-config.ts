import { type Environment, pickVariables } from "./provider-config.ts";
import type { Settings } from "./settings.ts";

/** The settings of the local agent. */
export type AgentConfig = {
  /** The program and its arguments. Without it and `dir` there is no agent. */
  readonly argv?: readonly string[];
  readonly dir?: string;
  readonly socketPath?: string;
  /** What the agent gets of the gateway's environment: no keys. */
  readonly env: Readonly<Record<string, string>>;
  /** Methods that act on the host and may be called. */
  readonly allow: readonly string[];
  readonly readyMs: number;
  readonly retryMs: number;
  readonly timeoutMs: number;
};

/**
 * Variables that a program needs to find its libraries, its files, its language and the desktop. None
 * holds a key. On Windows programs do not start without theirs.
 */
const AGENT_VARIABLES = new RegExp(
  `^(${[
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\\w+|TZ|TMPDIR|TEMP|TMP|XDG_\\w+",
    "DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS",
    "PYTHONPATH|VIRTUAL_ENV",
    "SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAMDATA",
  ].join("|")})$`,
  "i",
);

/** Collects the agent's settings. `all` is the environment, for the agent's own variables. */
export function toAgentConfig(env: Settings, all: Environment): AgentConfig {
  return {
    ...(env.AGENT_COMMAND !== undefined && { argv: env.AGENT_COMMAND }),
    ...(env.AGENT_DIR !== undefined && { dir: env.AGENT_DIR }),
    ...(env.NEIRA_SOCKET_PATH !== undefined && { socketPath: env.NEIRA_SOCKET_PATH }),
    env: pickVariables(all, AGENT_VARIABLES),
    allow: env.AGENT_ALLOW,
    readyMs: env.AGENT_READY_TIMEOUT * 1000,
    retryMs: env.AGENT_RETRY_INTERVAL * 1000,
    timeoutMs: env.AGENT_TIMEOUT * 1000,
  };
}
