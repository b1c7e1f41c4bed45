import { describe, expect, it } from "vitest";
import { StorageError, toStorageError } from "./errors.ts";

const failed = (fields: object) => Object.assign(new Error("INSERT 'what was said'"), fields);

describe("toStorageError", () => {
  it.each([
    ["SQLITE_BUSY", "busy"],
    ["SQLITE_BUSY_SNAPSHOT", "busy"],
    ["SQLITE_FULL", "full"],
    ["SQLITE_READONLY", "readonly"],
    ["SQLITE_CANTOPEN", "io"],
    ["SQLITE_CORRUPT", "corrupt"],
    ["SQLITE_NOTADB", "corrupt"],
    ["SQLITE_CONSTRAINT_NOTNULL", "refused"],
    ["SERVER_ERROR", "unreachable"],
    ["MODULE_NOT_FOUND", "missing"],
    ["ERR_DLOPEN_FAILED", "missing"],
  ])("takes %s for %s, whatever wraps it", (code, kind) => {
    const error = toStorageError(failed({ cause: failed({ code }) }));
    expect(error).toMatchObject({ kind, code });
    expect(error.message).not.toContain("said");
  });

  it("takes a status that refuses the token for what it is", () => {
    const cause = failed({ status: 401 });
    expect(toStorageError(failed({ code: "SERVER_ERROR", cause }))).toMatchObject({
      kind: "unauthorized",
    });
  });

  it("takes anything else for a server that is not reachable, and its own errors as they are", () => {
    expect(toStorageError(new TypeError("fetch failed"))).toMatchObject({ kind: "unreachable" });
    expect(toStorageError("?")).toMatchObject({ kind: "unreachable" });
    const own = new StorageError("timeout");
    expect(toStorageError(own)).toBe(own);
  });
});
