import { describe, expect, it } from "vitest";
import { clampDeadline } from "./negotiation.ts";

function clamped(name: string, value: string): unknown {
  const headers = { [name]: value };
  clampDeadline(headers);
  return headers[name];
}

describe("clampDeadline", () => {
  it.each(["597H", "99999999H", "35792M", "99999999M", "2147484S", "99999999S"])(
    "shortens a gRPC deadline of %s to 24.8 days",
    (value) => expect(clamped("grpc-timeout", value)).toBe("2147483S"),
  );

  it.each(["596H", "2147483S", "99999999m", "99999999u", "1n", "", "1", "999999999S", "-1S", "x"])(
    "leaves the gRPC deadline %j as it is",
    (value) => expect(clamped("grpc-timeout", value)).toBe(value),
  );

  it.each(["2147483648", "9999999999"])("shortens a Connect deadline of %s ms", (value) =>
    expect(clamped("connect-timeout-ms", value)).toBe("2147483647"),
  );

  it.each(["2147483647", "1", "0", "", "99999999999", "-1", "1e9"])(
    "leaves the Connect deadline %j as it is",
    (value) => expect(clamped("connect-timeout-ms", value)).toBe(value),
  );
});
