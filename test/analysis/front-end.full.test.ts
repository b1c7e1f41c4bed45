import { describe, expect, it } from "vitest";
import { startAnalyzing, wavOf } from "./analyzing.ts";

const env = { ANALYSIS_UPLOAD: "sync" };
const credentials = { username: "Listener@example.org", password: "long enough" };

type Json = Readonly<Record<string, unknown>>;

/** The calls of the deployed front end: JSON and forms, a bearer token, and no header of ours. */
function frontEnd(url: string) {
  let token = "";
  const call = async (method: string, path: string, body?: object, as = token) => {
    const isForm = body instanceof FormData;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(as !== "" && { authorization: `Bearer ${as}` }),
        ...(body && !isForm && { "content-type": "application/json" }),
      },
      ...(body && { body: isForm ? body : JSON.stringify(body) }),
    });
    const json: unknown = await response.json();
    return { status: response.status, json: json as Json, headers: response.headers };
  };
  return {
    call,
    upload(bytes: Uint8Array, name = "voice.wav") {
      const form = new FormData();
      form.set("audiofile", new Blob([bytes as Uint8Array<ArrayBuffer>]), name);
      return call("POST", "/api/v1/audio/upload", form);
    },
    async logIn(given: object = credentials, path = "login") {
      const answer = await call("POST", `/api/v1/users/${path}`, given, "");
      token = String(answer.json["token"] ?? "");
      return answer;
    },
  };
}

describe("ANALYSIS_UPLOAD=sync", () => {
  it("holds the conversation of the deployed front end, from its first call to its last", async () => {
    await using analyzing = await startAnalyzing({ env });
    const { call, upload, logIn } = frontEnd(analyzing.gateway.httpUrl);
    expect(await call("GET", "/ping")).toMatchObject({ status: 200 });

    const registered = await logIn(credentials, "register");
    expect(registered.status).toBe(201);
    const user = registered.json["user"] as Json;
    expect(user).toMatchObject({ username: "listener@example.org" });
    expect(JSON.stringify(registered.json)).not.toContain(credentials.password);
    const again = await logIn({ ...credentials, username: "LISTENER@example.org" });
    expect([again.status, again.json["user"]]).toEqual([200, user]);

    const uploaded = await upload(wavOf({ seconds: 6, levels: [0.05, 0.4] }), "two voices.wav");
    expect(uploaded.status).toBe(201);
    expect(uploaded.json).toEqual({
      file_id: expect.any(String),
      s3_key: expect.stringContaining("analysis/"),
      message: "File uploaded and analyzed",
      analysis_results: [
        {
          chunk_id: "chunk_0",
          score: expect.any(Number),
          start_time_seconds: 0,
          end_time_seconds: 4,
        },
        {
          chunk_id: "chunk_1",
          score: expect.any(Number),
          start_time_seconds: 4,
          end_time_seconds: 6,
        },
      ],
    });
    const scores = (uploaded.json["analysis_results"] as { score: number }[]).map(
      ({ score }) => score,
    );

    const { json: history } = await call("GET", "/api/v1/history");
    expect(history).toEqual([
      {
        id: uploaded.json["file_id"],
        user_id: user["id"],
        filename: "two voices.wav",
        file_size: "187.54 KB",
        probability: Math.round((100 * ((scores[0] ?? 0) + (scores[1] ?? 0))) / 2),
        s3_key: uploaded.json["s3_key"],
        original_file_id: uploaded.json["file_id"],
        analysis_details: uploaded.json["analysis_results"],
        analysis_date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    ]);
    const path = `/api/v1/history/${uploaded.json["file_id"]}`;
    expect((await call("GET", path)).json).toEqual((history as unknown as Json[])[0]);
    expect(await call("DELETE", path)).toMatchObject({
      status: 200,
      json: { message: expect.any(String) },
    });
    expect(await call("GET", path)).toMatchObject({
      status: 404,
      json: { error: expect.any(String) },
    });
    expect(await call("DELETE", "/api/v1/history")).toMatchObject({ status: 200 });
    expect(analyzing.files()).toEqual([]);
  });

  it("answers 201 with the reason where a file has no score, and 400 where it is refused", async () => {
    await using analyzing = await startAnalyzing({ env });
    const { upload, logIn } = frontEnd(analyzing.gateway.httpUrl);
    await logIn(credentials, "register");
    const silent = await upload(wavOf({ seconds: 3, levels: [0] }));
    expect(silent).toMatchObject({ status: 201, json: { analysis_error: expect.any(String) } });
    const text = await upload(Buffer.from("not a sound at all"));
    expect(text).toMatchObject({ status: 400, json: { error: expect.any(String) } });
    const large = await upload(Buffer.alloc(11 * 1024 * 1024));
    expect(large).toMatchObject({ status: 400, json: { error: expect.stringContaining("bytes") } });
  });

  it("shows a user nothing of another, and nobody anything without a token", async () => {
    await using analyzing = await startAnalyzing({ env });
    const one = frontEnd(analyzing.gateway.httpUrl);
    const other = frontEnd(analyzing.gateway.httpUrl);
    await one.logIn(credentials, "register");
    await other.logIn({ email: "other@example.org", password: "also long enough" }, "register");
    const { json } = await one.upload(wavOf({ seconds: 2 }));
    const path = `/api/v1/history/${json["file_id"]}`;
    expect((await other.call("GET", path)).status).toBe(404);
    expect((await other.call("DELETE", path)).status).toBe(404);
    expect((await other.call("GET", "/api/v1/history")).json).toEqual([]);
    for (const token of ["", "nonsense"]) {
      for (const [method, route] of [
        ["GET", "/api/v1/history"],
        ["GET", path],
        ["DELETE", "/api/v1/history"],
        ["POST", "/api/v1/audio/upload"],
      ] as const) {
        expect((await one.call(method, route, undefined, token)).status).toBe(401);
      }
    }
    expect((await one.call("GET", path)).status).toBe(200);
  });

  it("bounds the attempts to log in, and says when to come again", async () => {
    await using analyzing = await startAnalyzing({ env });
    const { logIn } = frontEnd(analyzing.gateway.httpUrl);
    await logIn(credentials, "register");
    const wrong = { ...credentials, password: "a wrong password" };
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 12; attempt++) statuses.push((await logIn(wrong)).status);
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(5);
    const last = await logIn(wrong);
    expect(last.status).toBe(429);
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(60);
    // The right password does not pass either: else it could be told from a wrong one.
    expect((await logIn()).status).toBe(429);
  });

  it.each<[string, object, number]>([
    ["no password", { username: "listener" }, 400],
    ["a short one", { username: "listener", password: "short" }, 400],
    ["a name with spaces", { username: "a listener", password: "long enough" }, 400],
    ["no name", { password: "long enough" }, 400],
    ["a list", ["listener"], 400],
  ])("refuses to register with %s", async (_, given, status) => {
    await using analyzing = await startAnalyzing({ env });
    const { logIn } = frontEnd(analyzing.gateway.httpUrl);
    const answer = await logIn(given, "register");
    expect(answer).toMatchObject({ status, json: { error: expect.any(String) } });
  });

  it("takes its users' tokens beside AUTH_MODE=jwt, and keeps them from everything else", async () => {
    const jwt = {
      AUTH_MODE: "jwt",
      AUTH_JWT_SECRET: "a secret of at least 32 characters, for tests",
    };
    await using analyzing = await startAnalyzing({ env: { ...env, ...jwt } });
    const { call, logIn } = frontEnd(analyzing.gateway.httpUrl);
    await logIn(credentials, "register");
    expect((await call("GET", "/api/v1/history")).status).toBe(200);
    expect((await call("GET", "/status")).status).toBe(401);
    expect((await call("POST", "/v1/speak", { prompt: "Hello" })).status).toBe(401);
  });
});
