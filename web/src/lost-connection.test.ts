import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { streamThrough } from "./lost-connection.ts";

const request = { prompt: "Hello", hardwareId: "device", turnId: "turn" };
const stop = () =>
  new ConnectError("the gateway is stopping", Code.Unavailable, { "parley-reason": "shutdown" });
const { signal } = new AbortController();

/** A gateway that answers each call by the next script. */
function gatewayOf(...scripts: readonly (readonly (string | ConnectError)[])[]) {
  const places: bigint[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(StreamingService, {
      async *streamAudio({ resumeAfter }) {
        let sequence = resumeAfter ?? 0n;
        const script = scripts[places.push(sequence) - 1] ?? [];
        for (const step of script) {
          if (step instanceof ConnectError) {
            yield { content: { case: "errorMessage", value: step.rawMessage } };
            throw step;
          }
          sequence += 1n;
          yield { content: { case: "textChunk", value: step }, sequence };
        }
      },
    });
  });
  return { client: createClient(StreamingService, transport), places };
}

async function readAll(client: ReturnType<typeof gatewayOf>["client"]) {
  const said: unknown[] = [];
  try {
    for await (const { content } of streamThrough(client, request, signal))
      said.push(content.value);
  } catch (error) {
    said.push(error);
  }
  return said;
}

describe("a turn that the page reads", () => {
  it("is taken up where it was, if its gateway stops, and nothing is said of that", async () => {
    const { client, places } = gatewayOf(["One", "two", stop()], ["three"]);
    expect(await readAll(client)).toEqual(["One", "two", "three"]);
    expect(places).toEqual([0n, 2n]);
  });

  it("fails as it was lost, if nobody else has it", async () => {
    const { client } = gatewayOf(
      ["One", stop()],
      [new ConnectError("no such turn", Code.NotFound)],
    );
    const stopped = ["One", "the gateway is stopping", { code: Code.Unavailable }];
    expect(await readAll(client)).toMatchObject(stopped);
  });

  it("is not asked for again before anything came, or after another failure", async () => {
    const refused = gatewayOf([stop()], ["One"]);
    expect(await readAll(refused.client)).toHaveLength(2);
    const failed = gatewayOf(["One", new ConnectError("internal error", Code.Internal)], ["two"]);
    expect(await readAll(failed.client)).toMatchObject([
      "One",
      "internal error",
      { code: Code.Internal },
    ]);
    expect([...refused.places, ...failed.places]).toEqual([0n, 0n]);
  });
});
