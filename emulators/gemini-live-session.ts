import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { GeminiMessage } from "./gemini.ts";
import type {
  ClientMessage,
  GeminiLiveRequest,
  LiveBlob,
  LiveSetup,
} from "./gemini-live-messages.ts";
import {
  type Close,
  closeFor,
  createSender,
  type LiveBehavior,
  type Sender,
  spokenDelta,
} from "./gemini-live-wire.ts";
import { type EmulatorScript, type Fault, paced, rest } from "./script.ts";

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

const userText = (text: string): GeminiMessage => ({ role: "user", parts: [{ text }] });
const noManualActivity: Close = [
  1007,
  "Explicit activity control is not supported when automatic activity detection is enabled.",
];
const notFound: Close = [1008, "BidiGenerateContent session not found"];

/** Google's side of one Live connection. */
export class LiveServerSession {
  readonly #service: LiveService;
  readonly #connection: LiveClient;
  readonly #left = new AbortController();
  readonly #sender: Sender;
  #setup: LiveSetup | undefined;
  #heard: string[] = [];
  #picture: LiveBlob | undefined;
  /** What came before the turn is complete. */
  #contents: GeminiMessage[] = [];
  #speech: LiveBlob[] | undefined;
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
    if (realtimeInput) this.#takeRealtime(realtimeInput);
  }

  #takeRealtime(input: NonNullable<ClientMessage["realtimeInput"]>): void {
    const { video, text, audio, activityStart, activityEnd } = input;
    if (video) this.#picture = video;
    if (text !== undefined && this.#speech) this.#contents.push(userText(text));
    else if (text !== undefined) this.#ask([], { text });
    if (activityStart || activityEnd) {
      const detection = this.#setup?.realtimeInputConfig?.automaticActivityDetection;
      if (!detection?.disabled) {
        this.#close(noManualActivity);
        return;
      }
    }
    if (activityStart) this.#speech = [];
    if (audio) this.#speech?.push(audio);
    if (activityEnd && this.#speech) this.#ask(this.#contents.splice(0), { speech: this.#speech });
  }

  #takeContents(content: NonNullable<ClientMessage["clientContent"]>, { model }: LiveSetup): void {
    if (/gemini-3\.1-/.test(model)) this.#close([1007, "Request contains an invalid argument."]);
    else if (content.turnComplete) this.#ask(content.turns ?? [], {});
    else this.#contents.push(...(content.turns ?? []));
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

  #ask(
    contents: readonly GeminiMessage[],
    { text, speech }: { readonly text?: string; readonly speech?: readonly LiveBlob[] },
  ): void {
    const { index, apiKey } = this.#connection;
    if (!this.#setup) return;
    const request = { connection: index, apiKey, setup: this.#setup, contents, text, speech };
    this.#service.requests.push({ ...request, picture: this.#picture, heard: [...this.#heard] });
    this.#picture = undefined;
    this.#speech = undefined;
    const said = contents.filter(({ role }) => role === "user").flatMap(({ parts = [] }) => parts);
    const words = speech && this.#service.behavior().hears?.join("");
    this.#heard.push(words ?? text ?? said.map((part) => part.text ?? "").join("\n"));
    void this.#reply(speech !== undefined);
  }

  /** Tells what it hears, where the setup asks for it. */
  async #transcribe(): Promise<void> {
    if (!this.#setup?.inputAudioTranscription) return;
    for (const text of this.#service.behavior().hears ?? []) {
      await this.#send({ serverContent: { inputTranscription: { text } } });
    }
  }

  async #reply(isSpoken: boolean): Promise<void> {
    const turn = new AbortController();
    if (this.#turn) await this.#interrupt(this.#turn);
    this.#turn = turn;
    const signal = AbortSignal.any([turn.signal, this.#left.signal]);
    await this.#send({ sessionResumptionUpdate: { resumable: false } });
    if (isSpoken) await this.#transcribe();
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
