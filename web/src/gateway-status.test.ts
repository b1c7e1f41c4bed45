import { describe, expect, it } from "vitest";
import { readFacts, unknownGateway } from "./gateway-status.ts";

const tier = (name: string, kind: "text" | "speech") => ({ name, kind, breaker: "CLOSED" });

describe("readFacts", () => {
  it("knows whether there is a model", () => {
    expect(readFacts({ providers: [tier("offline", "text")] }).hasModel).toBe(false);
    const both = [tier("gemini", "text"), tier("offline", "text"), tier("tone", "speech")];
    expect(readFacts({ providers: both })).toMatchObject({ hasModel: true, tiers: both });
  });

  it("knows nothing of another server", () => {
    expect(readFacts({ error: "not found" })).toBe(unknownGateway);
  });

  it("reads the formats of a gateway that tells them", () => {
    expect(readFacts({ providers: [] }).audioFormats).toEqual([]);
    expect(readFacts({ providers: [], audioFormats: ["OPUS"] }).audioFormats).toEqual(["OPUS"]);
  });
});
