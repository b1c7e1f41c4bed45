import { type ClientRequest, type IncomingMessage, request } from "node:http";

/** The states of a request, in the standard's numbers. */
const OPENED = 1;
const HEADERS_RECEIVED = 2;
const LOADING = 3;
const DONE = 4;

/**
 * As much of a browser's XMLHttpRequest as Google's gRPC-Web client uses, with a real HTTP/1.1
 * request below. As in browsers, text is there as it comes, and a binary response only when it is
 * whole.
 */
export class NodeXmlHttpRequest {
  readyState = 0;
  status = 0;
  statusText = "";
  responseType = "";
  responseText = "";
  response: ArrayBuffer | null = null;
  withCredentials = false;
  onreadystatechange: (() => void) | null = null;
  readonly #headers: Record<string, string> = {};
  #method = "";
  #url = "";
  #request: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;

  open(method: string, url: string): void {
    this.#method = method;
    this.#url = url;
    this.#move(OPENED);
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  send(body: Uint8Array | string): void {
    this.#request = request(this.#url, { method: this.#method, headers: this.#headers });
    this.#request.on("response", (answer) => this.#read(answer));
    this.#request.on("error", () => this.#fail());
    this.#request.end(body);
  }

  abort(): void {
    this.#request?.destroy();
  }

  getResponseHeader(name: string): string | null {
    return this.#answer?.headers[name.toLowerCase()]?.toString() ?? null;
  }

  getAllResponseHeaders(): string {
    const headers = Object.entries(this.#answer?.headers ?? {});
    return headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  async #read(answer: IncomingMessage): Promise<void> {
    this.#answer = answer;
    this.status = answer.statusCode ?? 0;
    this.statusText = answer.statusMessage ?? "";
    this.#move(HEADERS_RECEIVED);
    const pieces: Buffer[] = [];
    try {
      for await (const piece of answer) {
        pieces.push(piece);
        if (this.responseType === "") this.responseText += piece.toString("latin1");
        this.#move(LOADING);
      }
    } catch {
      this.#fail();
      return;
    }
    this.response = new Uint8Array(Buffer.concat(pieces)).buffer;
    this.#move(DONE);
  }

  #fail(): void {
    if (this.readyState === DONE) return;
    this.status = 0;
    this.#move(DONE);
  }

  #move(state: number): void {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}
