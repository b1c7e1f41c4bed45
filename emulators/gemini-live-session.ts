import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { GeminiMessage } from "./gemini.ts";
import {
  type Close,
  closeFor,
  createSender,
  type LiveBehavior,
  type Sender,
  spokenDelta,
} from "./gemini-live-wire.ts";
import { type EmulatorScript, type Fault, paced, rest } from "./script.ts";

/** The first message of a connection. */
export type LiveSetup = {
  readonly model: string;
  readonly generationConfig?: {
    readonly responseModalities?: readonly string[];
    readonly speechConfig?: object;
  };
  readonly systemInstruction?: GeminiMessage;
  readonly tools?: readonly object[];
  readonly sessionResumption?: { readonly handle?: string };
  readonly outputAudioTranscription?: object;
};

/** A picture in the vendor's format. */
export type LivePicture = { readonly mimeType: string; readonly data: string };

/** One turn sent to the Live service. */
export type GeminiLiveRequest = {
  /** The number of its connection, from 0. */
  readonly connection: number;
  readonly apiKey: string | null;
  readonly setup: LiveSetup;
  /** The messages; empty if the turn came as realtime text. */
  readonly contents: readonly GeminiMessage[];
  /** The realtime text. */
  readonly text: string | undefined;
  /** A realtime picture, in base64. */
  readonly picture: LivePicture | undefined;
  /** Earlier user texts of the server session, oldest first. */
  readonly heard: readonly string[];
};

/** The state that all connections share. */
export type LiveService = {
  readonly requests: GeminiLiveRequest[];
  /** User texts of a session, by resumption handle. */
  readonly handles: Map<string, readonly string[]>;
  script(): EmulatorScript;
  /** Messages to send instead of the script. */
  messages(): readonly object[] | undefined;
  behavior(): LiveBehavior;
};

/** A connection. */
export type LiveClient = {
  readonly client: WebSocket;
  readonly socket: Duplex;
  readonly index: number;
  readonly apiKey: string | null;
};

type ClientMessage = {
  readonly setup?: LiveSetup;
  readonly clientContent?: { turns?: readonly GeminiMessage[]; turnComplete?: boolean };
  readonly realtimeInput?: { text?: string; video?: LivePicture };
};

const notFound: Close = [1008, "BidiGenerateContent session not found"];

/** Google's side of one Live connection. */
export class LiveServerSession {
  readonly #service: LiveService;
  readonly #connection: LiveClient;
  readonly #left = new AbortController();
  readonly #sender: Sender;
  #setup: LiveSetup | undefined;
  #heard: string[] = [];
  #picture: LivePicture | undefined;
  #turn: AbortController | undefined;

  constructor(service: LiveService, connection: LiveClient) {
    this.#service = service;
    this.#connection = connection;
    const drips = () => this.#setup !== undefined && service.script().fault?.kind === "drip";
    this.#sender = createSender(connection, drips, this.#left.signal);
    connection.client.on("message", (data) => this.#receive(JSON.parse(data.toString())));
    connection.client.on("error", () => undefined);
    connection.client.on("close", () => {
      this.#turn?.abort();
      this.#turn = undefined;
      this.#left.abort();
    });
  }

  /** True while a turn is in progress. */
  get busy(): boolean {
    return this.#turn !== undefined;
  }

  /** Announces the end of the connection. */
  goAway(): void {
    void this.#sender.send({ goAway: { timeLeft: "50s" } });
  }

  #receive({ setup, clientContent, realtimeInput }: ClientMessage): void {
    if (setup) this.#begin(setup);
    else if (!this.#setup) this.#close([1007, "setup must be the first message"]);
    else if (clientContent) this.#takeContents(clientContent, this.#setup);
    if (realtimeInput?.video) this.#picture = realtimeInput.video;
    if (realtimeInput?.text !== undefined) this.#ask([], realtimeInput.text);
  }

  #takeContents(content: NonNullable<ClientMessage["clientContent"]>, { model }: LiveSetup): void {
    if (/gemini-3\.1-/.test(model)) this.#close([1007, "Request contains an invalid argument."]);
    else if (content.turnComplete) this.#ask(content.turns ?? [], undefined);
  }

  #begin(setup: LiveSetup): void {
    const handle = setup.sessionResumption?.handle;
    const heard = handle === undefined ? [] : this.#service.handles.get(handle);
    const refusal = this.#refusal() ?? (heard ? undefined : notFound);
    if (refusal) {
      this.#close(refusal);
      return;
    }
    this.#heard = [...(heard ?? [])];
    void this.#sender.send({ setupComplete: {} });
    this.#setup = setup;
  }

  #refusal(): Close | undefined {
    const { fault } = this.#service.script();
    return fault && !fault.afterParts ? closeFor(fault.kind) : undefined;
  }

  #ask(contents: readonly GeminiMessage[], text: string | undefined): void {
    const { index, apiKey } = this.#connection;
    if (!this.#setup) return;
    const request = { connection: index, apiKey, setup: this.#setup, contents, text };
    this.#service.requests.push({ ...request, picture: this.#picture, heard: [...this.#heard] });
    this.#picture = undefined;
    const said = contents.filter(({ role }) => role === "user").flatMap(({ parts = [] }) => parts);
    this.#heard.push(text ?? said.map((part) => part.text ?? "").join("\n"));
    void this.#reply();
  }

  async #reply(): Promise<void> {
    const turn = new AbortController();
    if (this.#turn) await this.#interrupt(this.#turn);
    this.#turn = turn;
    const signal = AbortSignal.any([turn.signal, this.#left.signal]);
    await this.#send({ sessionResumptionUpdate: { resumable: false } });
    const raw = this.#service.messages();
    if (raw) return this.#sendAll(raw);
    if (this.#service.behavior().isQuiet) return this.#end([], signal);
    await this.#think(signal);
    const words: object[] = [];
    for await (const step of paced(this.#service.script(), signal)) {
      if (step.type === "fault") return this.#fail(step.fault);
      if (step.type === "end") return this.#end(words, signal);
      const [transcript, sound] = this.#deltaOf(step.text);
      const isLate = this.#service.behavior().trailMs !== undefined;
      if (isLate) words.push(transcript);
      await this.#sendAll(isLate ? [sound] : [transcript, sound]);
    }
  }

  /** Says the filler, and completes its turn as one that goes on. */
  async #think(signal: AbortSignal): Promise<void> {
    const { filler, lagMs = 0, thinkMs = 0 } = this.#service.behavior();
    if (filler === undefined) return;
    await this.#sendAll(this.#deltaOf(filler));
    await this.#send({ serverContent: { generationComplete: true } });
    await rest(lagMs, signal);
    const interactionStatus = "IN_PROGRESS";
    await this.#send({ serverContent: { turnComplete: true, interactionStatus } });
    await rest(thinkMs, signal);
  }

  async #interrupt(turn: AbortController): Promise<void> {
    turn.abort();
    await this.#send({ serverContent: { interrupted: true } });
    await this.#send({ serverContent: { turnComplete: true } });
  }

  #deltaOf(text: string): readonly [transcript: object, sound: object] {
    return spokenDelta(text, this.#service.script().fault?.kind === "wrong-rate" ? 16_000 : 24_000);
  }

  async #end(words: readonly object[], signal: AbortSignal): Promise<void> {
    const { trailMs = 0, lagMs = 0 } = this.#service.behavior();
    await this.#send({ serverContent: { generationComplete: true } });
    // The service promises no order of words and turns.
    void rest(trailMs, this.#left.signal).then(() => this.#sendAll(words));
    await rest(lagMs, signal);
    if (!signal.aborted) await this.#complete();
  }

  /** The end of a turn, with the token for the session after it. */
  async #complete(): Promise<void> {
    const { resumable = true, tellsStatus } = this.#service.behavior();
    this.#turn = undefined;
    const status = tellsStatus === false ? {} : { interactionStatus: "IDLE" };
    await this.#send({ serverContent: { turnComplete: true, ...status }, usageMetadata: {} });
    if (!resumable) return this.#send({ sessionResumptionUpdate: { resumable: false } });
    const newHandle = `handle-${this.#connection.index}-${this.#heard.length}`;
    this.#service.handles.set(newHandle, [...this.#heard]);
    await this.#send({ sessionResumptionUpdate: { newHandle, resumable: true } });
  }

  async #fail({ kind }: Fault): Promise<void> {
    const close = closeFor(kind);
    if (close) return this.#close(close);
    if (kind === "refuse") this.#connection.socket.destroy();
    if (kind === "cut") this.#sender.cut();
    if (kind === "empty") await this.#complete();
    if (kind === "malformed") this.#connection.client.send('{"serverContent": {"modelTurn"');
  }

  async #sendAll(messages: readonly object[]): Promise<void> {
    for (const message of messages) await this.#send(message);
  }

  async #send(message: object): Promise<void> {
    if (!this.#left.signal.aborted) await this.#sender.send(message);
  }

  #close([code, reason]: Close): void {
    this.#connection.client.close(code, reason);
  }
}
