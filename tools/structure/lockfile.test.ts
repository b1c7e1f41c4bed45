import { describe, expect, it } from "vitest";
import { findAddresses, findLicenceProblems } from "./lockfile.ts";

const licences = (
  license: string | undefined,
  use: { dev?: boolean; devOptional?: boolean } = {},
) =>
  findLicenceProblems({
    packages: { "": {}, "node_modules/a": { ...(license && { license }), ...use } },
  });

describe("findLicenceProblems", () => {
  it.each(["MIT", "(MIT OR GPL-3.0)", "MIT OR Apache-2.0", "(Apache-2.0 AND BSD-3-Clause)"])(
    "allows %s",
    (license) => {
      expect(licences(license)).toEqual([]);
    },
  );

  it.each(["GPL-3.0", "MIT AND GPL-3.0", "SEE LICENSE IN a.txt", "UNLICENSED", "", undefined])(
    "refuses %s",
    (license) => {
      expect(licences(license)).toEqual([
        expect.stringMatching(/^node_modules\/a: a dependency of the gateway with the licence /),
      ]);
    },
  );

  it("lets tools have MPL-2.0, and the gateway not", () => {
    expect(licences("MPL-2.0", { dev: true })).toEqual([]);
    expect(licences("MPL-2.0", { devOptional: true })).toEqual([]);
    expect(licences("MPL-2.0")).toHaveLength(1);
    expect(licences("AGPL-3.0", { dev: true })).toEqual([
      expect.stringContaining("a development dependency"),
    ]);
  });
});

describe("findLicenceProblems, of a licence that only the package's text has", () => {
  it("lets a tool have it that was read, and the gateway not", () => {
    const of = (path: string, dev: boolean) =>
      findLicenceProblems({ packages: { [path]: { dev } } });
    expect(of("node_modules/s3rver/node_modules/busboy", true)).toEqual([]);
    expect(of("node_modules/busboy", false)).toHaveLength(1);
    expect(of("node_modules/unread", true)).toHaveLength(1);
  });
});

describe("findAddresses", () => {
  it("refuses addresses, and leaves links within the project alone", () => {
    const packages = {
      "node_modules/a": { resolved: "https://packages.example/a.tgz" },
      "node_modules/b": { resolved: "packages/b", link: true },
      "node_modules/c": {},
    };
    expect(findAddresses({ packages })).toEqual([
      "node_modules/a: has an address; npm's omit-lockfile-registry-resolved leaves it out",
    ]);
  });
});
