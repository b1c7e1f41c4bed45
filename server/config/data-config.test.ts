import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const s3 = {
  BLOB_STORE: "s3://pictures/a/b/",
  AWS_ACCESS_KEY_ID: "id",
  AWS_SECRET_ACCESS_KEY: "secret",
};

describe("readConfig, of the blob store", () => {
  it("takes a folder, also one on Windows", () => {
    for (const path of ["/var/lib/parley", "blobs", "C:\\parley\\blobs", "./s3"]) {
      expect(readConfig({ BLOB_STORE: path }).blobs).toEqual({ type: "folder", path });
    }
  });

  it("takes a bucket of AWS, with the key or with what the SDK finds", () => {
    expect(readConfig({ ...s3, AWS_REGION: "eu-west-1", AWS_SESSION_TOKEN: "t" }).blobs).toEqual({
      type: "s3",
      bucket: "pictures",
      prefix: "a/b",
      region: "eu-west-1",
      pathStyle: false,
      credentials: { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "t" },
    });
    expect(
      readConfig({ BLOB_STORE: "s3://pictures", AWS_DEFAULT_REGION: "eu-west-1" }).blobs,
    ).toEqual({
      type: "s3",
      bucket: "pictures",
      prefix: "",
      region: "eu-west-1",
      pathStyle: false,
    });
  });

  it("takes another store by MinIO's names, with the bucket in the path", () => {
    const minio = {
      BLOB_STORE: "s3://pictures",
      MINIO_ENDPOINT: "minio:9000",
      MINIO_ACCESS_KEY: "id",
      MINIO_SECRET_KEY: "secret",
    };
    const location = {
      type: "s3",
      bucket: "pictures",
      prefix: "",
      endpoint: "http://minio:9000",
      region: "us-east-1",
      pathStyle: true,
      credentials: { accessKeyId: "id", secretAccessKey: "secret" },
    };
    expect(readConfig(minio).blobs).toEqual(location);
    expect(readConfig({ ...minio, S3_FORCE_PATH_STYLE: "false" }).blobs).toEqual({
      ...location,
      pathStyle: false,
    });
    expect(readConfig({ ...minio, S3_ENDPOINT: "https://storage.example" }).blobs).toMatchObject({
      endpoint: "https://storage.example",
    });
  });

  it.each([
    [{ BLOB_STORE: "s3://" }, "BLOB_STORE"],
    [{ BLOB_STORE: "gs://pictures" }, "must be a folder, or s3://BUCKET"],
    [{ BLOB_STORE: "s3://UPPER_case!" }, "BLOB_STORE"],
    [{ ...s3, S3_ENDPOINT: "ftp://x" }, "S3_ENDPOINT"],
    [{ ...s3, AWS_SECRET_ACCESS_KEY: "" }, "Only one of AWS_ACCESS_KEY_ID"],
  ])("refuses %j", (env, message) => {
    expect(() => readConfig(env)).toThrow(message);
  });

  it("repeats no key in an error", () => {
    const env = { ...s3, AWS_SECRET_ACCESS_KEY: "s p a c e s" };
    expect(() => readConfig(env)).toThrow("AWS_SECRET_ACCESS_KEY");
    expect(() => readConfig(env)).not.toThrow("s p a c e s");
  });
});

describe("readConfig, of what is kept", () => {
  it("keeps memories and screenshots where turns are stored, unless it is told otherwise", () => {
    const enabled = (env: Readonly<Record<string, string>>) => {
      const { memory, screenshots } = readConfig(env);
      return [memory.isEnabled, screenshots.isEnabled];
    };
    expect(enabled({})).toEqual([true, true]);
    expect(enabled({ STORAGE_ENABLED: "false" })).toEqual([false, false]);
    expect(enabled({ STORAGE_ENABLED: "false", MEMORY_ENABLED: "true" })).toEqual([true, false]);
    expect(enabled({ MEMORY_ENABLED: "false", SCREENSHOTS_ENABLED: "no" })).toEqual([false, false]);
  });

  it("distils by the key's model, or by the one that is named", () => {
    const GEMINI_API_KEY = "key";
    expect(readConfig({ GEMINI_API_KEY, GEMINI_MODEL: "m" }).memory).toMatchObject({ model: "m" });
    const named = {
      GEMINI_API_KEY,
      MEMORY_MODEL: "small",
      EMBEDDING_MODEL: "e",
      MEMORY_TIMEOUT: "1",
    };
    expect(readConfig(named).memory).toEqual({
      isEnabled: true,
      timeoutMs: 1000,
      model: "small",
      embeddingModel: "e",
    });
  });

  it.each([
    [{ STORAGE_ENABLED: "false", SCREENSHOTS_ENABLED: "true" }, "Set STORAGE_ENABLED=true"],
    [{ MEMORY_MODEL: "m" }, "MEMORY_MODEL is set without GEMINI_API_KEY"],
    [{ EMBEDDING_MODEL: "m" }, "EMBEDDING_MODEL is set without GEMINI_API_KEY"],
    [{ MEMORY_TIMEOUT: "0" }, "MEMORY_TIMEOUT"],
  ])("refuses %j", (env, message) => {
    expect(() => readConfig(env)).toThrow(message);
  });
});
