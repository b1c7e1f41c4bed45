import { X509Certificate } from "node:crypto";
import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { createSecureContext, createServer, type TLSSocket } from "node:tls";

/** A certificate with its chain, and its private key, in PEM. */
type KeyPair = { readonly cert: Buffer; readonly key: Buffer };

/** Where a certificate is, and who hears of it. */
export type CertificateOptions = {
  readonly certFile: string;
  readonly keyFile: string;
  /** Called when a new pair is in use. */
  readonly onReload: (status: CertificateStatus) => void;
  /** Called when a new pair is refused. The one before stays in use. */
  readonly onError: (error: Error) => void;
  /** Milliseconds between two looks at the files. 2 s if absent. */
  readonly watchMs?: number;
};

/** How the certificate does, for `/status`. */
export type CertificateStatus = {
  /** `degraded`: it has expired, or the files hold a pair that was refused. */
  readonly state: "ok" | "degraded";
  /** The end of its time: ISO 8601. */
  readonly validTo: string;
  /** Why the latest pair was refused, if it was. */
  readonly lastError?: string;
};

/** The certificate that the ports show. */
export type Certificate = {
  /** Reads the files and watches them. Rejects with an error that names the setting to change. */
  start(): Promise<void>;
  /** Reads the files now. Never rejects: a pair that is unusable is reported, and not taken. */
  reload(): Promise<void>;
  /** The pair in use. Throws before `start`. */
  pair(): KeyPair;
  /** Calls `listener` with each new pair. */
  onChange(listener: (pair: KeyPair) => void): void;
  status(): CertificateStatus;
  /** Stops watching. */
  stop(): void;
};

const WATCH_MS = 2000;

/** Creates the certificate of two files. Nothing is read before `start`. */
export function createCertificate(options: CertificateOptions): Certificate {
  const { certFile, keyFile, watchMs: interval = WATCH_MS } = options;
  const listeners = new Set<(pair: KeyPair) => void>();
  let pair: KeyPair | undefined;
  let lastError: string | undefined;
  let reading = Promise.resolve();
  const current = () => {
    if (pair === undefined) throw new Error("the certificate has not been read");
    return pair;
  };
  const status = (): CertificateStatus => {
    const { validToDate } = new X509Certificate(current().cert);
    const isOk = lastError === undefined && validToDate.getTime() > Date.now();
    const state = isOk ? "ok" : "degraded";
    return { state, validTo: validToDate.toISOString(), ...(lastError && { lastError }) };
  };
  const read = async () => {
    try {
      const next = await readPair(options);
      lastError = undefined;
      if (isSame(next, current())) return;
      pair = next;
      for (const listener of listeners) listener(next);
      options.onReload(status());
    } catch (error) {
      const { message } = error as Error;
      if (message === lastError) return;
      lastError = message;
      options.onError(error as Error);
    }
  };
  const reload = () => {
    reading = reading.then(read);
    return reading;
  };
  const onStat = () => void reload();
  return {
    async start() {
      pair = await readPair(options);
      // By their status, not by events: those follow a file that was replaced, and miss a link's target.
      for (const file of [certFile, keyFile])
        watchFile(file, { interval, persistent: false }, onStat);
    },
    reload,
    pair: current,
    onChange: (listener) => void listeners.add(listener),
    status,
    stop() {
      for (const file of [certFile, keyFile]) unwatchFile(file, onStat);
    },
  };
}

/** Reads a pair. Throws an error that names the setting, and no path. */
async function readPair({ certFile, keyFile }: CertificateOptions): Promise<KeyPair> {
  const read = (file: string, setting: string) =>
    readFile(file).catch(({ code }: NodeJS.ErrnoException) => {
      throw new Error(`the file of ${setting} cannot be read (${code})`);
    });
  const cert = await read(certFile, "TLS_CERT_FILE");
  const key = await read(keyFile, "TLS_KEY_FILE");
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const { code = "unreadable" } = error as NodeJS.ErrnoException;
    throw new Error(`TLS_CERT_FILE and TLS_KEY_FILE are no certificate and its key (${code})`);
  }
  return { cert, key };
}

function isSame(a: KeyPair, b: KeyPair): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key);
}

/** TLS on the connections of a port. */
export type TlsLayer = {
  /** Agrees on TLS with a new connection, then calls `onSecure`. One that fails to is closed. */
  secure(socket: Socket, onSecure: (secure: TLSSocket) => void): void;
};

/**
 * Creates the TLS layer of a port: TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN. New connections see
 * the certificate in use; those that are open keep theirs.
 */
export function createTlsLayer(certificate: Certificate, handshakeTimeoutMs: number): TlsLayer {
  const server = createServer({
    ...certificate.pair(),
    minVersion: "TLSv1.2",
    ALPNProtocols: ["h2", "http/1.1"],
    handshakeTimeout: handshakeTimeoutMs,
  });
  certificate.onChange((pair) => server.setSecureContext({ ...pair, minVersion: "TLSv1.2" }));
  /** Connections that have not agreed, by their peer. */
  const waiting = new Map<string, (secure: TLSSocket) => void>();
  server.on("secureConnection", (secure) => {
    // An error closes the connection. Its users learn that from `close`.
    secure.on("error", () => undefined);
    const onSecure = waiting.get(peerOf(secure));
    waiting.delete(peerOf(secure));
    if (onSecure) onSecure(secure);
    else secure.destroy();
  });
  // A handshake that is late leaves its connection open otherwise.
  server.on("tlsClientError", (_, secure) => secure.destroy());
  return {
    secure(socket, onSecure) {
      const peer = peerOf(socket);
      waiting.set(peer, onSecure);
      socket.once("close", () => {
        if (waiting.get(peer) === onSecure) waiting.delete(peer);
      });
      server.emit("connection", socket);
    },
  };
}

/** Node tells of a secured connection by another object, with the same peer. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
