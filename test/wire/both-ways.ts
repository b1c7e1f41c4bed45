import { expect } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { type Exchange, splitEnvelopes, versions } from "./exchange.ts";
import { type ComparedRequest, comparedReply, createRequests } from "./requests.ts";

/** How many requests are under way at once. */
const AT_ONCE = 12;

/** What was compared, so that a test can tell that it compared something. */
export type Comparison = {
  /** Requests that had more than one message: there the two ways differ. */
  readonly streamed: number;
  /** Requests by the status of their HTTP response, "left" if the client left before. */
  readonly statuses: Readonly<Record<string, number>>;
};

/**
 * Sends the requests of a seed to a gateway that writes chunks itself and to one that sends all through
 * connect-node, over both versions of HTTP, and expects the same answers: status, headers, trailers
 * and messages byte by byte. A client that leaves compares what it read before.
 */
export async function compareBothWays(seed: number, count: number): Promise<Comparison> {
  await using direct = await startCompared(true);
  await using adapter = await startCompared(false);
  const makeRequest = createRequests(seed);
  const comparison = { streamed: 0, statuses: {} as Record<string, number> };
  const compareOne = async (index: number, request: ComparedRequest) => {
    for (const [version, exchange] of Object.entries(versions)) {
      const answers = await Promise.all(
        [direct, adapter].map(({ grpcPort }) => exchange(grpcPort, request)),
      );
      const [first, second] = answers.map((answer) => comparable(answer, request));
      const name = `seed ${seed}, request ${index} over ${version}: ${JSON.stringify(request.headers)} ${request.path} ${request.body.toString("hex").slice(0, 200)}`;
      expect(first, name).toEqual(second);
      const { status, messages } = first ?? {};
      comparison.statuses[status ?? "left"] = (comparison.statuses[status ?? "left"] ?? 0) + 1;
      if ((messages?.length ?? 0) > 1) comparison.streamed += 1;
    }
  };
  for (let from = 0; from < count; from += AT_ONCE) {
    const indexes = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => from + at);
    await Promise.all(indexes.map((index) => compareOne(index, makeRequest(index))));
  }
  await direct.untilIdle();
  await adapter.untilIdle();
  return comparison;
}

function startCompared(responseWire: boolean): Promise<Gateway> {
  return startGateway({
    responseWire,
    languageModels: [createScriptedLanguageModel(({ text }) => comparedReply(text))],
    env: { MAX_SESSIONS: "1000", MAX_CONCURRENT_REQUESTS: "100" },
  });
}

/** What must be the same: all of it, or what a client read before it left. */
function comparable({ body, ...answer }: Exchange, { leavesAfter }: ComparedRequest) {
  const all = splitEnvelopes(body).map(readable);
  if (leavesAfter === undefined || (answer.complete && all.length < leavesAfter)) {
    return { ...answer, body: readable(body), messages: all };
  }
  const { status, headers } = answer;
  // A client that leaves at once may be gone before or after the header.
  return leavesAfter === 0 ? {} : { status, headers, messages: all.slice(0, leavesAfter) };
}

/** The bytes, without the ids that each gateway makes for a turn and a session. */
function readable(bytes: Buffer): string {
  const id = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
  return Buffer.from(bytes.toString("latin1").replace(id, "id"), "latin1").toString("base64");
}
