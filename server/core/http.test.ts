import { describe, expect, it } from "vitest";
import { readMediaType } from "./http.ts";

describe("readMediaType", () => {
  it.each([
    ["application/json", "application/json"],
    ["Application/JSON", "application/json"],
    ["application/json; charset=utf-8", "application/json"],
    ['application/json ;Charset="UTF-8"', "application/json"],
    ["application/json;charset=utf8; x=y", "application/json"],
    ["application/GRPC-Web-Text+Proto", "application/grpc-web-text+proto"],
    ["application/jsonx", "application/jsonx"],
    ["application/json+x", "application/json+x"],
  ])("reads %j", (header, type) => {
    expect(readMediaType(header)).toBe(type);
  });

  it.each([
    undefined,
    "",
    "json",
    "application/",
    "application/json, text/html",
    "; charset=utf-8",
  ])("finds no media type in %j", (header) => {
    expect(readMediaType(header)).toBeUndefined();
  });

  it("refuses a charset that the gateway does not read", () => {
    expect(readMediaType("application/json; charset=iso-8859-1")).toBeUndefined();
  });
});
