import { create } from "@bufbuild/protobuf";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { Health, HealthCheckResponseSchema } from "../../gen/grpc/health/v1/health_pb.ts";
import { endOnTime, limitDeadline } from "./deadlines.ts";

const maxMs = 30_000;

function limited(type: string, name: string, value?: string): unknown {
  const headers = { "content-type": type, ...(value !== undefined && { [name]: value }) };
  limitDeadline(headers, maxMs);
  return (headers as Record<string, unknown>)[name];
}

describe("limitDeadline", () => {
  const grpc = (value?: string) => limited("application/grpc+proto", "grpc-timeout", value);
  const web = (value?: string) => limited("application/grpc-web-text", "grpc-timeout", value);
  const connect = (value?: string) => limited("application/json", "connect-timeout-ms", value);

  it("sets a deadline where the client has none", () => {
    expect([grpc(), web(), connect()]).toEqual(["30000m", "30000m", "30000"]);
  });

  it.each(["597H", "99999999H", "1M", "31S", "30001m", "30000001u"])(
    "shortens a gRPC deadline of %s",
    (value) => expect(grpc(value)).toBe("30000m"),
  );

  it.each(["30S", "30000m", "99999999n", "1n", "0S", "", "1", "999999999S", "-1S", "x"])(
    "leaves the gRPC deadline %j as it is",
    (value) => expect(grpc(value)).toBe(value),
  );

  it.each(["30001", "2147483648", "9999999999"])("shortens a Connect deadline of %s ms", (value) =>
    expect(connect(value)).toBe("30000"),
  );

  it.each(["30000", "1", "0", "", "99999999999", "-1", "1e9"])(
    "leaves the Connect deadline %j as it is",
    (value) => expect(connect(value)).toBe(value),
  );
});

describe("endOnTime", () => {
  /** A service that ignores its signal. */
  const client = createClient(
    Health,
    createRouterTransport(
      ({ service }) =>
        service(Health, {
          check: () => new Promise(() => undefined),
          async *watch() {
            yield create(HealthCheckResponseSchema);
            await new Promise(() => undefined);
          },
        }),
      { router: { interceptors: [endOnTime] } },
    ),
  );

  it("ends a unary call whose handler goes on", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const call = expect(client.check({}, { timeoutMs: 50 })).rejects.toMatchObject({
        code: Code.DeadlineExceeded,
      });
      await vi.advanceTimersByTimeAsync(2000);
      await call;
    } finally {
      vi.useRealTimers();
    }
  });

  it("ends a stream whose handler goes on, after what it yielded", async () => {
    const seen: unknown[] = [];
    const read = async () => {
      for await (const message of client.watch({}, { timeoutMs: 50 })) seen.push(message);
    };
    await expect(read()).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect(seen).toHaveLength(1);
  });
});
