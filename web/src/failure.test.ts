import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { explain } from "./failure.ts";

describe("explain", () => {
  it("tells a gateway that cannot be reached from a connection that was lost", () => {
    const error = ConnectError.from(new TypeError("Failed to fetch"));
    expect(explain(error, undefined, false).title).toBe("The gateway cannot be reached.");
    expect(explain(error, undefined, true).title).toBe("The connection to the gateway was lost.");
  });

  it.each(["missing trailer", "missing EndStreamResponse", "protocol error: incomplete envelope"])(
    "takes a stream that was cut off for a lost connection: %s",
    (message) => {
      const { title } = explain(new ConnectError(message), undefined, true);
      expect(title).toBe("The connection to the gateway was lost.");
    },
  );

  it("shows the gateway's own words on a field", () => {
    const error = new ConnectError("prompt must be 64 KiB at most", Code.InvalidArgument);
    expect(explain(error, undefined, false)).toEqual({
      title: "The gateway did not accept the request.",
      detail: "The gateway says: prompt must be 64 KiB at most.",
      kind: "failed",
    });
  });

  it.each([Code.Unavailable, Code.ResourceExhausted, Code.DeadlineExceeded])(
    "advises where the gateway says nothing: code %i",
    (code) => {
      expect(explain(new ConnectError("", code), undefined, false).detail).toMatch(/end again/);
    },
  );

  it("prefers what the stream told", () => {
    const error = new ConnectError("internal error", Code.Internal);
    expect(explain(error, "the voice broke", true).detail).toContain("the voice broke");
  });

  it("falls silent for an interrupt, and for no other cancel", () => {
    const interrupted = new ConnectError("", Code.Canceled, { "parley-reason": "interrupted" });
    const cancelled = new ConnectError("", Code.Canceled, { "parley-reason": "disconnected" });
    expect(explain(interrupted, undefined, true).kind).toBe("interrupted");
    expect(explain(cancelled, undefined, true).kind).toBe("failed");
  });

  it.each([
    ["language", "No voice here speaks this language."],
    ["no_voice", "No voice is available."],
  ])("tells a whole text without its voice from a broken reply: %s", (reason, title) => {
    const error = new ConnectError("", Code.Unavailable, { "parley-reason": reason });
    expect(explain(error, undefined, true)).toMatchObject({ kind: "unspoken", title });
    expect(explain(error, undefined, false).kind).toBe("failed");
  });
});
