import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AudioAnalysis } from "../../gen/audioanalyzer/audioanalyzer_pb.ts";
import type { Scope } from "../../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../../server/auth/token-file.ts";
import { createFolder } from "../storage/databases.ts";
import { hasPython, PYTHON } from "../support/client-python.ts";
import { itUnless } from "../support/it-unless.ts";
import { runLines } from "../support/program.ts";
import { type ObjectStore, startObjectStore } from "../support/s3.ts";
import { DEVICE, startAnalyzing, wavOf } from "./analyzing.ts";

const CLIENT = fileURLToPath(new URL("../python/analyze.py", import.meta.url));
const BYTES = wavOf({ seconds: 9.5, levels: [0.02, 0.05, 0.3] });

const folder = createFolder();
let s3: ObjectStore;
let analyzing: Awaited<ReturnType<typeof startAnalyzing>>;
beforeAll(async () => {
  s3 = await startObjectStore(join(folder.path, "s3"));
  analyzing = await startAnalyzing({ env: s3.env });
});
afterAll(async () => {
  await analyzing[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const clientOf = ({ gateway }: typeof analyzing) =>
  createClient(AudioAnalysis, createGrpcTransport({ baseUrl: gateway.url }));

/** The answer, or the name of the code that the call failed with. */
const analyze = (bucket: string, key: string, at = analyzing, headers = {}) =>
  clientOf(at)
    .analyzeAudio({ minioBucketName: bucket, minioObjectKey: key }, { headers })
    .catch((error: unknown) => Code[ConnectError.from(error).code]);

/** Stores an object beside the gateway's own. */
async function put(key: string, body: Uint8Array): Promise<string> {
  const { bucket, endpoint, region, credentials } = s3.location;
  const client = new S3Client({
    region,
    forcePathStyle: true,
    ...(endpoint && { endpoint }),
    ...(credentials && { credentials }),
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  client.destroy();
  return bucket;
}

describe("AnalyzeAudio", () => {
  it("gives an object's scores, the same as those of its upload", async () => {
    const bucket = await put("recordings/one.wav", BYTES);
    const task = await analyzing.analyze(BYTES);
    for (const key of ["recordings/one.wav", task.s3_key]) {
      const answer = await analyze(bucket, key);
      expect(answer, key).toMatchObject({ errorMessage: "", conclusion: { verdict: "genuine" } });
      const { predictions } = answer as Exclude<typeof answer, string | undefined>;
      const scores = predictions.map(({ chunkId, score }) => [chunkId, Number(score.toFixed(4))]);
      expect(Object.fromEntries(scores)).toEqual(task.predictions);
      expect(predictions.at(-1)).toMatchObject({ startTimeSeconds: 8, endTimeSeconds: 9.5 });
    }
  });

  itUnless(!hasPython())("gives Python's grpcio the same numbers as REST", async () => {
    const task = await analyzing.analyze(BYTES);
    const run = async (key: string, ...more: string[]) => {
      const args = [
        CLIENT,
        `127.0.0.1:${analyzing.gateway.grpcPort}`,
        task.s3_bucket,
        key,
        ...more,
      ];
      const lines = await Array.fromAsync(runLines(PYTHON, args, AbortSignal.timeout(30_000)));
      return JSON.parse(lines.join(""));
    };
    const { message } = await run(task.s3_key);
    expect(message.predictions).toEqual(
      task.analysis_results?.map((fields) => ({
        ...fields,
        // A number that is 0 is not on the wire.
        ...(fields.start_time_seconds === 0 && { start_time_seconds: undefined }),
        score: expect.closeTo(fields.score, 6),
      })),
    );
    expect(message.conclusion).toMatchObject({ model: "loudness", verdict: task.result?.verdict });
    expect(await run("none")).toMatchObject({ status: { code: "NOT_FOUND" } });
  });

  it("says which field, which object or which part is wrong", async () => {
    const bucket = await put("text", Buffer.from("no sound"));
    await put("large", Buffer.alloc(10 * 1024 * 1024 + 1));
    expect(await analyze("", "x")).toBe("InvalidArgument");
    expect(await analyze(bucket, "")).toBe("InvalidArgument");
    expect(await analyze(bucket, "text")).toBe("InvalidArgument");
    expect(await analyze(bucket, "large")).toBe("InvalidArgument");
    expect(await analyze(bucket, "none")).toBe("NotFound");
    expect(await analyze("another", "text")).toBe("NotFound");
    await s3.play("gone");
    expect(await analyze(bucket, "text")).toBe("Unavailable");
    await s3.play("none");
    expect(await analyze(bucket, "text")).toBe("InvalidArgument");
  });

  it("says why a file that is too short has no score", async () => {
    const bucket = await put("short", wavOf({ seconds: 0.4 }));
    expect(await analyze(bucket, "short")).toMatchObject({
      predictions: [],
      errorMessage: "the file is shorter than 1 s: no score",
    });
  });

  it("reads for a token its device's own uploads, and all with the scope for it", async () => {
    const own = createFolder();
    const tokens = (["analysis", "analysis-all"] as const).map((more) => {
      const allowed: readonly Scope[] = ["analysis", more];
      return createToken({ device: more === "analysis" ? DEVICE : "all", scopes: allowed });
    });
    const stored = tokens.map((token) => token.stored);
    await writeTokenFile(join(own.path, "tokens.json"), { tokens: stored, revokedJwts: [] });
    const env = { ...s3.env, DATA_DIR: own.path, AUTH_MODE: "token" };
    await using guarded = await startAnalyzing({ env });
    const [mine = {}, all = {}] = tokens.map(({ token }) => ({ authorization: `Bearer ${token}` }));
    const bucket = await put("recordings/two.wav", BYTES);
    const { body } = await guarded.upload(BYTES, "x", { device: "", headers: mine });
    const theirs = await guarded.upload(wavOf({ seconds: 4 }), "x", { device: "", headers: all });
    expect(await analyze(bucket, body.s3_key, guarded, mine)).toMatchObject({ errorMessage: "" });
    expect(await analyze(bucket, theirs.body.s3_key, guarded, mine)).toBe("NotFound");
    expect(await analyze(bucket, "recordings/two.wav", guarded, mine)).toBe("NotFound");
    expect(await analyze(bucket, "recordings/two.wav", guarded, all)).toMatchObject({
      errorMessage: "",
    });
    expect(await analyze(bucket, body.s3_key, guarded)).toBe("Unauthenticated");
    own[Symbol.dispose]();
  });
});
