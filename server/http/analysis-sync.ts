import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Analysis } from "../analysis/analysis-contract.ts";
import type { StoredObjects } from "../analysis/objects.ts";
import { type AnalysisTask, isOver } from "../analysis/task.ts";
import type { Login, User, Users } from "../analysis/users.ts";
import { parseBearer } from "../auth/authenticator.ts";
import { AccessDenied } from "../auth/caller.ts";
import { InvalidRequest, NotFound } from "../core/errors.ts";
import { type ReadableBody, readBytes } from "../core/http.ts";
import { createUploads, type UploadContext } from "./analysis.ts";
import { resultFields } from "./analysis-fields.ts";
import { type Problem, retryHeaders, toProblem } from "./problem.ts";

/** What the routes are made of. */
export type SyncAnalysisOptions = {
  readonly analysis: Analysis;
  readonly objects: StoredObjects;
  readonly users: Users;
  /** The address of a request's client. */
  readonly addressOf: (incoming: object) => string;
};

type Env = { Bindings: { readonly incoming: object & ReadableBody } };

const MAX_CREDENTIALS_BYTES = 16 * 1024;
/** The front end asks for all at once. */
const HISTORY_LIMIT = 200;

/**
 * The routes as an older front end knows them (`ANALYSIS_UPLOAD=sync`): its users register and log in, an
 * upload is answered with its scores, errors are `{"error":"text"}`. docs/http.md tells fields and answers.
 */
export function syncAnalysisRoutes(options: SyncAnalysisOptions): Hono {
  const { analysis, users, objects } = options;
  const placeOf = ({ blobId }: AnalysisTask) => objects.placeOf(blobId);
  const routes = new Hono<Env>();
  routes.onError((error) => errorResponse(toProblem(error)));
  routes.get("/ping", () => Response.json({ message: "pong" }));
  routes.post("/api/v1/users/register", async (context) => {
    const login = await users.register(await readCredentials(context, options), signalOf(context));
    return Response.json(loginFields(login), { status: 201 });
  });
  routes.post("/api/v1/users/login", async (context) => {
    const login = await users.logIn(await readCredentials(context, options), signalOf(context));
    if (!login) throw new AccessDenied("unauthenticated", "user name or password are wrong");
    return Response.json(loginFields(login));
  });
  const readUser = async (context: Context<Env>): Promise<User> => {
    const token = parseBearer(context.req.header("authorization"));
    const user = await users.find(token, signalOf(context));
    if (!user) throw new AccessDenied("unauthenticated", "the token is not valid, or has expired");
    return user;
  };
  const takeUpload = createUploads(analysis);
  routes.post("/api/v1/audio/upload", async (context) => {
    const { id: deviceId } = await readUser(context);
    const asked = { deviceId, signal: signalOf(context) };
    const begun = await takeUpload(context as unknown as UploadContext, asked);
    if (begun instanceof Response) return await toErrorResponse(begun);
    const task = await untilOver(analysis, begun, asked.signal);
    return Response.json(uploadFields(task, placeOf(task).key), { status: 201 });
  });
  routes.get("/api/v1/history", async (context) => {
    const user = await readUser(context);
    const tasks = await analysis.list(user.id, { limit: HISTORY_LIMIT }, signalOf(context));
    return Response.json(tasks.map((task) => historyFields(task, placeOf(task).key)));
  });
  const need = async (context: Context<Env>) => {
    const user = await readUser(context);
    const id = context.req.param("id") ?? "";
    const task = await analysis.find(user.id, id, signalOf(context));
    if (!task) throw new NotFound("there is no such analysis");
    return { user, task };
  };
  routes.get("/api/v1/history/:id", async (context) => {
    const { task } = await need(context);
    return Response.json(historyFields(task, placeOf(task).key));
  });
  routes.delete("/api/v1/history/:id", async (context) => {
    const { user, task } = await need(context);
    await analysis.remove(user.id, task.id, signalOf(context));
    return Response.json({ message: "deleted" });
  });
  routes.delete("/api/v1/history", async (context) => {
    const { id } = await readUser(context);
    await analysis.remove(id, undefined, signalOf(context));
    return Response.json({ message: "deleted" });
  });
  return routes as unknown as Hono;
}

const signalOf = ({ req }: Context<Env>) => req.raw.signal;

/** That front end knows 400 for whatever is wrong with a file. */
function errorResponse({ status, body, retryAfterMs }: Problem): Response {
  return Response.json(
    { error: body.error.message },
    {
      status: status === 413 || status === 415 ? 400 : status,
      headers: retryHeaders(retryAfterMs),
    },
  );
}

async function toErrorResponse(refusal: Response): Promise<Response> {
  const body = (await refusal.json()) as Problem["body"];
  return errorResponse({ status: refusal.status as Problem["status"], body });
}

const credentials = z.object({
  username: z.string().optional(),
  email: z.string().optional(),
  password: z.string(),
});

async function readCredentials(context: Context<Env>, { addressOf }: SyncAnalysisOptions) {
  const { incoming } = context.env;
  const bytes = await readBytes(incoming, MAX_CREDENTIALS_BYTES);
  if (bytes === undefined) throw new InvalidRequest("body", "is too long");
  const { success, data } = credentials.safeParse(parseJson(bytes));
  const name = data?.username ?? data?.email;
  if (!success || name === undefined) {
    throw new InvalidRequest("body", "must be JSON with username or email, and password");
  }
  return { name, password: data.password, address: addressOf(incoming) };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

function loginFields({ token, user }: Login) {
  const { id, name, createdAt } = user;
  const created = new Date(createdAt).toISOString();
  return { token, user: { id, username: name, email: name, created_at: created } };
}

/** The task once nothing more will become of it. */
async function untilOver(
  analysis: Analysis,
  begun: AnalysisTask,
  signal: AbortSignal,
): Promise<AnalysisTask> {
  for await (const task of analysis.watch(begun.deviceId, begun.id, signal)) {
    if (isOver(task)) return task;
  }
  throw new NotFound("the analysis was deleted");
}

function uploadFields(task: AnalysisTask, key: string) {
  const isDone = task.status === "COMPLETED";
  const { analysis_results, error_message } = task.result ? resultFields(task.result) : {};
  const problem = isDone ? error_message : (task.message ?? task.status);
  return {
    file_id: task.id,
    s3_key: key,
    message: isDone ? "File uploaded and analyzed" : "File uploaded; its analysis failed",
    ...(problem !== undefined && { analysis_error: problem }),
    ...(analysis_results && { analysis_results }),
  };
}

function historyFields(task: AnalysisTask, key: string) {
  const mean = task.result?.conclusion.mean ?? null;
  return {
    id: task.id,
    user_id: task.deviceId,
    filename: task.filename,
    file_size: sizeOf(task.fileSize),
    probability: mean === null ? null : Math.round(mean * 100),
    s3_key: key,
    original_file_id: task.id,
    analysis_details: task.result ? resultFields(task.result).analysis_results : [],
    analysis_date: new Date(task.createdAt).toISOString(),
  };
}

/** Bytes as that front end shows them: 1.23 KB. */
function sizeOf(bytes: number): string {
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(2)} KB` : `${(kib / 1024).toFixed(2)} MB`;
}
