import { describe, expect, it } from "vitest";
import { InvalidConfig, readConfig } from "./config.ts";

describe("readConfig, of Redis", () => {
  it.each([
    "redis://localhost",
    "redis://10.0.0.1:6380/3",
    "redis://:secret@redis:6379",
    "rediss://user:s%40cret@redis.example:6379/0",
    "redis://[::1]:6379",
  ])("takes %s", (url) => {
    expect(readConfig({ REDIS_URL: url }).redis).toEqual({ url });
  });

  it("has none unless it is set", () => {
    expect(readConfig({}).redis).toBeUndefined();
    expect(readConfig({ REDIS_URL: " " }).redis).toBeUndefined();
  });

  it.each([
    "redis",
    "redis://",
    "http://user:secret@redis",
    "redis://:secret@redis:0",
    "redis://:secret@redis:99999",
    "redis://:secret@redis/name",
    "redis://:secret@redis:6379/1?enableOfflineQueue=true",
    "redis://:secret@redis#x",
    "redis://:secret%@redis",
    "redis://a:secret@b:secret@c d",
  ])("refuses %s, and does not repeat it", (url) => {
    const read = () => readConfig({ REDIS_URL: url });
    expect(read).toThrow(InvalidConfig);
    expect(read).toThrow(/must be redis:\/\/HOST:PORT or rediss:/);
    expect(read).toThrow(/→ at REDIS_URL/);
    expect(read).not.toThrow(/secret/);
  });
});
