import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { encodeRequest, STREAM_AUDIO } from "./messages.ts";

/** The program, of Debian's nghttp2-client. */
export const H2LOAD = "h2load";

/** What one run of h2load asks for. */
export type H2Load = {
  readonly url: string;
  /** Requests in all, how many of them at once, and over how many connections. */
  readonly requests: number;
  readonly streams: number;
  readonly connections: number;
};

/**
 * Asks for replies as fast as they go, and answers the bytes of their messages. Throws if a request
 * fails.
 */
export async function runH2Load(load: H2Load, signal: AbortSignal): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "parley-wire-"));
  try {
    const body = join(folder, "request");
    writeFileSync(body, encodeRequest("1", "device-0"));
    const { requests, streams, connections } = load;
    const counts = ["-n", requests, "-c", connections, "-m", streams / connections, "-t", 1];
    const headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
    const args = [...counts.map(String), ...headers, "-d", body, `${load.url}${STREAM_AUDIO}`];
    const child = spawn(H2LOAD, args, { stdio: ["ignore", "pipe", "inherit"], signal });
    const [said] = await Promise.all([text(child.stdout), once(child, "close")]);
    return readBytes(said, load.requests);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readBytes(said: string, requests: number): number {
  const [, succeeded] = /(\d+) succeeded/.exec(said) ?? [];
  const [, bytes] = /\((\d+)\) data/.exec(said) ?? [];
  if (Number(succeeded) !== requests || bytes === undefined) {
    throw new Error(`h2load did not bring ${requests} replies:\n${said}`);
  }
  return Number(bytes);
}
