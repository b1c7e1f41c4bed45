import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import packageJson from "../../../package.json" with { type: "json" };
import { TurnCancelled } from "../../core/async.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../../core/errors.ts";
import type { Meter } from "../../limits/rate-limits.ts";
import type { Synthesizer } from "../../models/synthesizer.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { readEvents, type WyomingEvent, writeEvent } from "./events.ts";
import { createSpeaker, DEFAULT_VOICE, type SpeakerParts } from "./speaker.ts";

/** The door for clients of the Wyoming protocol, such as Home Assistant. */
export type WyomingServer = {
  /** Listens. Rejects with an error that names the setting to change. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Closes the port and every connection. */
  stop(): Promise<void>;
};

/** What it is made of. */
export type WyomingOptions = Pick<SpeakerParts, "conversation"> & {
  readonly port: number;
  /** Whether it listens beyond loopback: some address there is allowed. */
  readonly isOpen: boolean;
  /** Whether this address may call. */
  readonly allows: (address: string) => boolean;
  /** Counts a connection for its address. Throws `LimitExceeded`. */
  readonly openMeter: (address: string) => Pick<Meter, "message">;
  /** The speech tiers, best first. */
  readonly synthesizers: readonly { readonly provider: Synthesizer }[];
  readonly logger: Logger;
};

const MAX_CONNECTIONS = 64;
/** How long a connection may be silent, and a client may take nothing of what waits for it. */
const IDLE_MS = 60_000;
const STALL_MS = 10_000;

/** Makes the server. Nothing listens before `start`. */
export function createWyomingServer(options: WyomingOptions): WyomingServer {
  const server = createServer((socket) => void serve(socket, options));
  server.maxConnections = MAX_CONNECTIONS;
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return {
    start: () => listen(server, options),
    async stop() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function listen(server: Server, { port, isOpen }: WyomingOptions) {
  const host = isOpen ? "0.0.0.0" : "127.0.0.1";
  try {
    await once(server.listen(port, host), "listening");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new Error(`cannot listen on ${host}:${port} (${code}); WYOMING_PORT can change it`);
  }
  const address = server.address();
  return { host, port: typeof address === "object" && address ? address.port : port };
}

async function serve(socket: Socket, options: WyomingOptions): Promise<void> {
  const left = new AbortController();
  socket.on("error", () => undefined);
  socket.once("close", () => left.abort(new TurnCancelled("disconnected")));
  if (!options.allows(socket.remoteAddress ?? "")) {
    socket.destroy();
    return;
  }
  socket.setNoDelay(true);
  // Fires as well while a write makes no progress.
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on("drain", () => socket.setTimeout(IDLE_MS));
  try {
    await answerEvents(socket, options, left.signal);
  } catch (error) {
    if (!left.signal.aborted) await tell(socket, error, options.logger);
  } finally {
    socket.end();
    socket.setTimeout(STALL_MS);
  }
}

/** Events that wait behind a text that is being spoken. */
const MAX_WAITING = 256;

/**
 * Answers events in their order. It reads on while it speaks, so that it sees the client leave: a client
 * that closes its side wants nothing more.
 */
async function answerEvents(
  socket: Socket,
  { conversation, synthesizers, openMeter }: WyomingOptions,
  signal: AbortSignal,
): Promise<void> {
  const speaker = createSpeaker({ conversation, socket, signal });
  const answer = async (event: WyomingEvent) => {
    if (event.type === "describe") {
      await writeEvent(socket, { type: "info", data: describe(synthesizers) }, signal);
    } else if (event.type === "ping") {
      await writeEvent(socket, { type: "pong", data: event.data }, signal);
    } else {
      await speaker.take(event);
    }
  };
  const meter = openMeter(socket.remoteAddress ?? "");
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  let countedBytes = 0;
  let waiting = 0;
  let answered = Promise.resolve();
  const read = async () => {
    for await (const event of readEvents(socket)) {
      meter.message(socket.bytesRead - countedBytes);
      countedBytes = socket.bytesRead;
      waiting += 1;
      if (waiting > MAX_WAITING) {
        throw new LimitExceeded(`more than ${MAX_WAITING} events wait`, "events");
      }
      answered = answered.then(async () => {
        await answer(event);
        waiting -= 1;
      });
      answered.catch(failed.reject);
    }
    socket.destroy();
  };
  await Promise.race([read(), failed.promise]);
}

/** Sends the error. The connection ends behind it: clients wait for sound, not for errors. */
async function tell(socket: Socket, error: unknown, logger: Logger): Promise<void> {
  const code = codeOf(error);
  if (code === "internal") logger.error({ error: String(error) }, "a request failed");
  const text = code === "internal" || !(error instanceof Error) ? "internal error" : error.message;
  const event = { type: "error", data: { text, code } };
  await writeEvent(socket, event, AbortSignal.timeout(STALL_MS)).catch(() => undefined);
}

function codeOf(error: unknown): string {
  if (error instanceof InvalidRequest) return "invalid_argument";
  if (error instanceof LimitExceeded) return "resource_exhausted";
  if (error instanceof NoProviderLeft || error instanceof ProviderError) return "unavailable";
  return error instanceof TurnCancelled ? "canceled" : "internal";
}

const attribution = { name: "Parley", url: "" };
const installed = { attribution, installed: true, version: packageJson.version };

/** What the door offers: one program with the tiers' own voice and those that have names. */
function describe(synthesizers: WyomingOptions["synthesizers"]) {
  const providers = synthesizers.map(({ provider }) => provider);
  const speaking = providers.filter(({ isLastResort }) => !isLastResort);
  const languages = [...new Set(speaking.flatMap(({ languages = ["en"] }) => languages))];
  const named = speaking.flatMap(({ name: tier, voices = [] }) =>
    voices.map((name) => ({ name, description: `${name} (${tier})`, languages: [tagOf(name)] })),
  );
  const voices = [
    { name: DEFAULT_VOICE, description: "The best voice for the language", languages },
    ...named,
  ];
  const tts = {
    ...installed,
    name: "parley",
    description: "Parley voice gateway",
    voices: voices.map((voice) => ({ ...installed, ...voice, speakers: null })),
    supports_synthesize_streaming: true,
  };
  return { asr: [], tts: [tts], handle: [], intent: [], wake: [], mic: [], snd: [] };
}

/** `en-US` of `en-US-AriaNeural`; English for a name that tells no language. */
function tagOf(voice: string): string {
  return /^[a-z]{2,3}-[A-Z]{2}(?=-)/.exec(voice)?.[0] ?? "en";
}
