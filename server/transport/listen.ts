import { once } from "node:events";
import type { Server } from "node:net";

/** Where to listen, and which settings said so. */
export type ListenTarget = {
  readonly host: string;
  readonly port: number;
  readonly settings?: { readonly host: string; readonly port: string };
};

/** Begins to listen. Rejects with an error for the person who runs the gateway if it cannot. */
export async function listen(server: Server, target: ListenTarget): Promise<void> {
  const { host, port } = target;
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (error) {
    throw new Error(explain(error, target), { cause: error });
  }
}

function explain(error: unknown, { host, port, settings }: ListenTarget): string {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const portSetting = settings?.port ?? "the port";
  const hostSetting = settings?.host ?? "the host";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${where}: another program does. Stop it, or change ${portSetting} (0 takes a free port).`;
    case "EACCES":
      return `cannot listen on ${where}: this user may not. Change ${portSetting} to 1024 or more.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `cannot listen on ${where}: this machine has no such address. Change ${hostSetting}.`;
    default:
      return `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
