import { chmod, lstat, mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentUnavailable, systemCode } from "./unavailable.ts";

/** What decides where an agent listens. */
export type SocketOptions = {
  /** `NEIRA_SOCKET_PATH`: a path, a named pipe, or a loopback address with a port. */
  readonly path?: string;
  /** By Node's name. */
  readonly platform: NodeJS.Platform;
  /** Ports that are the gateway's own. */
  readonly reservedPorts: readonly number[];
};

/** Where one run of an agent listens. */
export type AgentSocket = {
  /** The value of `NEIRA_SOCKET_PATH` for the agent. */
  readonly address: string;
  connect(): Socket;
  /** Lets nobody but this user connect. To be called once the agent listens. */
  protect(): Promise<void>;
  /** Removes what the run left behind. */
  release(): Promise<void>;
};

/** The longest path of a Unix socket, in bytes: Linux takes 107, macOS 103. */
const MAX_SOCKET_PATH_BYTES = 103;

const SOCKET_NAME = "neira_agent.sock";
const loopbackAddress = /^(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})$/;

/** The port of a loopback address, `127.0.0.1:50051`. Undefined for a path. */
export function loopbackPort(address: string): number | undefined {
  const [, , port] = loopbackAddress.exec(address) ?? [];
  return port === undefined ? undefined : Number(port);
}

/**
 * Finds a place for an agent to listen, and makes it free. Without a path it is a socket in a new folder
 * that only this user can enter, or on Windows a free loopback port. Throws `AgentUnavailable` if the
 * place is taken: what others own, or listen on, is never removed.
 */
export async function openAgentSocket(options: SocketOptions): Promise<AgentSocket> {
  const { path, platform } = options;
  if (path === undefined) {
    return platform === "win32"
      ? await openPort(await freePort(options), options)
      : await openOwn();
  }
  const port = loopbackPort(path);
  if (port !== undefined) return await openPort(port, options);
  if (path.startsWith("\\\\.\\pipe\\")) return await openPipe(path);
  await clearPath(path);
  return unixSocket(path, () => rm(path, { force: true }));
}

async function openOwn(): Promise<AgentSocket> {
  const isShort = Buffer.byteLength(join(tmpdir(), "neira-XXXXXX", SOCKET_NAME));
  const parent = isShort <= MAX_SOCKET_PATH_BYTES ? tmpdir() : "/tmp";
  // A folder of mkdtemp has the mode 0700.
  const folder = await mkdtemp(join(parent, "neira-")).catch((error) => {
    throw new AgentUnavailable(`no folder for the socket${systemCode(error)}`);
  });
  return unixSocket(join(folder, SOCKET_NAME), () => rm(folder, { recursive: true, force: true }));
}

function unixSocket(path: string, remove: () => Promise<void>): AgentSocket {
  return {
    address: path,
    connect: () => connect({ path }),
    protect: () => chmod(path, 0o600),
    release: () => remove().catch(() => undefined),
  };
}

/** Makes a path free. Removes a socket of this user on which nobody listens, and nothing else. */
async function clearPath(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new AgentUnavailable(`the socket's place cannot be read${systemCode(error)}`);
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new AgentUnavailable("NEIRA_SOCKET_PATH names a file, not a socket");
  if (found.uid !== process.getuid?.()) {
    throw new AgentUnavailable("the socket belongs to another user");
  }
  await refuseTaken(() => connect({ path }));
  await rm(path, { force: true });
}

async function openPipe(path: string): Promise<AgentSocket> {
  const open = () => connect({ path });
  await refuseTaken(open);
  return { address: path, connect: open, protect: nothing, release: nothing };
}

async function openPort(port: number, { reservedPorts }: SocketOptions): Promise<AgentSocket> {
  if (reservedPorts.includes(port)) throw new AgentUnavailable("the port is the gateway's own");
  const open = () => connect({ host: "127.0.0.1", port });
  await refuseTaken(open);
  return { address: `127.0.0.1:${port}`, connect: open, protect: nothing, release: nothing };
}

const nothing = () => Promise.resolve();

/** Throws if somebody listens. A socket without a listener refuses the connection. */
async function refuseTaken(open: () => Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = open();
  socket.once("connect", () => resolve("the socket is in use by another process"));
  socket.once("error", (error: NodeJS.ErrnoException) => {
    const isFree = error.code === "ECONNREFUSED" || error.code === "ENOENT";
    resolve(isFree ? undefined : `the socket cannot be used${systemCode(error)}`);
  });
  const problem = await promise;
  socket.destroy();
  if (problem !== undefined) throw new AgentUnavailable(problem);
}

/** A free port that is not the gateway's. */
async function freePort(options: SocketOptions): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return options.reservedPorts.includes(port) ? await freePort(options) : port;
}
