import { Code, ConnectError } from "@connectrpc/connect";
import { hardwareId } from "../device.ts";
import { t } from "../messages.ts";
import { pause } from "../pause.ts";
import { hasToken, tokenHeaders, withToken } from "../token.ts";

/** The score of one window of a file: 0 to 1; higher: more likely synthetic. */
export type WindowScore = {
  readonly chunk_id: string;
  readonly score: number;
  readonly start_time_seconds: number;
  readonly end_time_seconds: number;
};

/** An analysis, by the names of the gateway's routes (docs/http.md). */
export type Task = {
  readonly task_id: string;
  readonly status: string;
  readonly message?: string;
  readonly filename: string;
  readonly duration_seconds: number;
  readonly created_at: string;
  readonly progress: { readonly done: number; readonly total: number };
  readonly analysis_results?: readonly WindowScore[];
  readonly error_message?: string;
  readonly result?: {
    readonly verdict: "genuine" | "spoof" | "uncertain";
    /** Null where no window has a score. */
    readonly mean: number | null;
    readonly max: number | null;
    readonly threshold: number;
    readonly model: string;
    readonly limits: string;
  };
};

/** The gateway did not do it, in words for the user. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** How long the page waits before it follows a task again whose events broke off. */
const againMs = 1000;
const mostTries = 30;

/** Whether nothing more will become of it. */
export function isOver({ status }: Task): boolean {
  return status !== "PENDING" && status !== "PROCESSING";
}

/** Sends a file. `onProgress` hears which share of it was sent. Throws `Refused`. */
export function upload(
  { file, name }: { readonly file: Blob; readonly name: string },
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Task> {
  return ask(() => send(file, name, onProgress, signal), signal);
}

// Not by fetch, which tells nothing of what was sent.
function send(
  file: Blob,
  name: string,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Task> {
  const { promise, resolve, reject } = Promise.withResolvers<Task>();
  const request = new XMLHttpRequest();
  const abort = () => request.abort();
  request.open("POST", "/api/v1/audio/upload");
  for (const [key, value] of Object.entries(headers())) request.setRequestHeader(key, value);
  request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
  request.addEventListener("load", () => {
    if (request.status === 202) resolve(JSON.parse(request.responseText) as Task);
    else reject(refusal(request.status, request.responseText));
  });
  request.addEventListener("error", () => reject(new Refused(t.unreachable)));
  request.addEventListener("abort", () => reject(signal.reason));
  signal.addEventListener("abort", abort, { once: true });
  const body = new FormData();
  body.set("audiofile", file, name);
  request.send(body);
  return promise.finally(() => signal.removeEventListener("abort", abort));
}

/** The task as it comes further, the last time when it is over. Throws `Refused`. */
export async function* follow(id: string, signal: AbortSignal): AsyncGenerator<Task> {
  for (let tries = 0; tries < mostTries; tries++) {
    try {
      for await (const task of events(id, signal)) {
        tries = 0;
        yield task;
        if (isOver(task)) return;
      }
    } catch (error) {
      if (signal.aborted || error instanceof Refused) throw error;
    }
    // The connection broke off, or the gateway restarts: the task goes on.
    await pause(againMs, signal);
  }
  throw new Refused(t.unreachable);
}

async function* events(id: string, signal: AbortSignal): AsyncGenerator<Task> {
  const response = await request(`/api/v1/audio/status/${id}`, signal, {
    headers: { accept: "text/event-stream" },
  });
  let text = "";
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) yield readEvent(block);
  }
}

function readEvent(block: string): Task {
  const [, name, data = "{}"] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
  const fields = JSON.parse(data);
  if (name === "failure") throw new Refused(t.gatewaySays(String(fields.message)));
  return fields as Task;
}

/** The device's analyses, the latest first, and the id that the next page begins before. */
export async function list(signal: AbortSignal, before?: string) {
  const query = before === undefined ? "" : `?before=${encodeURIComponent(before)}`;
  const response = await request(`/api/v1/history${query}`, signal);
  const page = (await response.json()) as { analyses: readonly Task[]; next_before?: string };
  return { tasks: page.analyses, next: page.next_before };
}

/** Deletes an analysis with its file, or all of them. */
export async function remove(id: string | undefined, signal: AbortSignal): Promise<void> {
  const path = id === undefined ? "/api/v1/history" : `/api/v1/history/${id}`;
  await request(path, signal, { method: "DELETE" });
}

/** The file of an analysis. */
export async function loadFile(id: string, signal: AbortSignal): Promise<Blob> {
  return await (await request(`/api/v1/audio/file/${id}`, signal)).blob();
}

function request(path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> {
  return ask(async () => {
    const response = await fetch(path, {
      ...init,
      headers: { ...headers(), ...init.headers },
      signal,
    }).catch((error: unknown) => {
      throw signal.aborted ? error : new TypeError("the gateway cannot be reached");
    });
    if (!response.ok) throw refusal(response.status, await response.text());
    return response;
  }, signal);
}

function headers(): Record<string, string> {
  return { ...tokenHeaders(), ...(!hasToken() && { "x-hardware-id": hardwareId() }) };
}

/** Asks once more with a token, where the gateway wants one. */
async function ask<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const once = async function* () {
    yield await call();
  };
  for await (const answer of withToken(once, signal)) return answer;
  throw new Refused(t.failedToken);
}

function refusal(status: number, body: string): Error {
  const message = messageOf(body);
  if (status === 401) return new ConnectError(message, Code.Unauthenticated);
  return new Refused(message === "" ? t.failedFault : t.gatewaySays(message));
}

function messageOf(body: string): string {
  try {
    return String((JSON.parse(body) as { error?: { message?: string } }).error?.message ?? "");
  } catch {
    return "";
  }
}
