import { type Context, Hono } from "hono";
import type { Analysis } from "../analysis/analysis-contract.ts";
import type { StoredObjects } from "../analysis/objects.ts";
import { type AnalysisTask, isOver } from "../analysis/task.ts";
import type { Callers } from "../auth/gate.ts";
import { InvalidRequest, LimitExceeded, NotFound } from "../core/errors.ts";
import { type ReadableBody, readBytes, streamBody } from "../core/http.ts";
import { taskFields } from "./analysis-fields.ts";
import { type NodeEnv, readDevice } from "./device.ts";
import { problem, problemResponse, toProblem } from "./problem.ts";
import { readUploadForm } from "./upload-form.ts";

/** What the routes are made of. */
export type AnalysisRouteOptions = {
  readonly analysis: Analysis;
  readonly objects: StoredObjects;
  readonly callers: Callers;
};

/** What an upload is read from. */
export type UploadContext = Context<{ Bindings: { readonly incoming: object & ReadableBody } }>;

/** What a multipart body has beside the file. */
const FORM_BYTES = 64 * 1024;
/** Each may hold its file in memory twice. */
const MAX_UPLOADS = 8;
const RETRY_MS = 2000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

const noTask = "the device has no such analysis";

/**
 * The analysis of files: upload, status, history. Each device sees its own; another's is not found.
 * docs/http.md tells fields and answers.
 */
export function analysisRoutes(options: AnalysisRouteOptions): Hono {
  const { analysis, objects, callers } = options;
  const fieldsOf = (task: AnalysisTask) => taskFields(task, objects.placeOf(task.blobId));
  const idOf = (context: Context) => context.req.param("id") ?? "";
  const need = async (context: Context<NodeEnv>) => {
    const { deviceId, signal } = readDevice(context, callers);
    const task = await analysis.find(deviceId, idOf(context), signal);
    if (!task) throw new NotFound(noTask);
    return { task, deviceId, signal };
  };
  const takeUpload = createUploads(analysis);
  const routes = new Hono<NodeEnv>();
  routes.post("/api/v1/audio/upload", async (context) => {
    const task = await takeUpload(
      context as unknown as UploadContext,
      readDevice(context, callers),
    );
    return task instanceof Response ? task : Response.json(fieldsOf(task), { status: 202 });
  });
  routes.get("/api/v1/audio/status/:id", async (context) => {
    const { task, deviceId, signal } = await need(context);
    if (context.req.header("accept") !== "text/event-stream") return answer(fieldsOf(task));
    return answerEvents(analysis.watch(deviceId, task.id, signal), fieldsOf);
  });
  routes.get("/api/v1/audio/file/:id", async (context) => {
    const { task, deviceId, signal } = await need(context);
    const file = await analysis.file(deviceId, task.id, signal);
    if (!file) throw new NotFound("the file is gone from the object store");
    return new Response(file as Uint8Array<ArrayBuffer>, {
      headers: {
        "content-type": mediaTypes[task.format] ?? "application/octet-stream",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      },
    });
  });
  routes.get("/api/v1/history", async (context) => {
    const { deviceId, signal } = readDevice(context, callers);
    const page = readPage(context.req.query());
    const tasks = await analysis.list(deviceId, page, signal);
    const next = tasks.length === page.limit ? { next_before: tasks.at(-1)?.id } : {};
    return answer({ analyses: tasks.map(fieldsOf), ...next });
  });
  routes.get("/api/v1/history/:id", async (context) =>
    answer(fieldsOf((await need(context)).task)),
  );
  const remove = async (context: Context<NodeEnv>, id?: string) => {
    const { deviceId, signal } = readDevice(context, callers);
    const deleted = await analysis.remove(deviceId, id, signal);
    if (id !== undefined && deleted === 0) throw new NotFound(noTask);
    return answer({ message: "deleted", deleted });
  };
  routes.delete("/api/v1/history/:id", (context) => remove(context, idOf(context)));
  routes.delete("/api/v1/history", (context) => remove(context));
  return routes as unknown as Hono;
}

/** By what the file is. */
const mediaTypes: Readonly<Record<string, string>> = {
  wav: "audio/wav",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  flac: "audio/flac",
  webm: "audio/webm",
};

function answer(fields: object): Response {
  return Response.json(fields, { headers: { "cache-control": "no-store" } });
}

/** Takes files: answers the task of each, or a refusal. So many at once; further ones are to come again. */
export function createUploads(analysis: Analysis) {
  let uploads = 0;
  return async (
    context: UploadContext,
    { deviceId, signal }: { readonly deviceId: string; readonly signal: AbortSignal },
  ): Promise<AnalysisTask | Response> => {
    if (uploads >= MAX_UPLOADS)
      throw new LimitExceeded("gateway busy; retry in 2 s", "uploads", RETRY_MS);
    uploads += 1;
    try {
      const contentType = context.req.header("content-type") ?? "";
      if (!/^multipart\/form-data\s*;/i.test(contentType)) {
        const message = "content-type must be multipart/form-data";
        return problemResponse(problem(415, "invalid_argument", message));
      }
      const file = await readFile(context.env.incoming, contentType, analysis.maxBytes);
      if (file === undefined) {
        const message = `audiofile has more than ${analysis.maxBytes} bytes`;
        return problemResponse(problem(413, "resource_exhausted", message, "audiofile"));
      }
      return await analysis.upload({ deviceId, ...file }, signal);
    } finally {
      uploads -= 1;
    }
  };
}

/** Reads the file alone: while it is analyzed, nothing holds the form. Undefined if it is too long. */
async function readFile(incoming: ReadableBody, contentType: string, maxBytes: number) {
  const body = await readBytes(incoming, maxBytes + FORM_BYTES);
  return body && (await readUploadForm(body, contentType));
}

function readPage({ limit, before }: Readonly<Record<string, string>>) {
  const count = limit === undefined ? DEFAULT_LIMIT : Number(limit);
  if (!Number.isInteger(count) || count < 1 || count > MAX_LIMIT) {
    throw new InvalidRequest("limit", `must be a whole number from 1 to ${MAX_LIMIT}`);
  }
  return { limit: count, ...(before !== undefined && { before }) };
}

/** `progress` each time that the task has come further, and at last `end` or `failure`. */
function answerEvents(
  tasks: AsyncGenerator<AnalysisTask>,
  fieldsOf: (task: AnalysisTask) => object,
): Response {
  const event = (name: string, fields: object) =>
    Buffer.from(`event: ${name}\ndata: ${JSON.stringify(fields)}\n\n`);
  const events = async function* (): AsyncGenerator<Uint8Array> {
    try {
      let isDone = false;
      for await (const task of tasks) {
        isDone = isOver(task);
        yield event(isDone ? "end" : "progress", fieldsOf(task));
      }
      if (!isDone) yield event("failure", { code: "not_found", message: noTask });
    } catch (error) {
      yield event("failure", toProblem(error).body.error);
    }
  };
  const leave = () => void tasks.return(undefined).catch(() => undefined);
  const body = streamBody(events(), { onLeave: leave, onFailure: leave });
  return new Response(body, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" },
  });
}
