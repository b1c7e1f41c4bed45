import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HostileCase, launch } from "./attack.ts";
import { type Canary, openCanary } from "./canary.ts";
import { floodCases } from "./cases/floods.ts";
import { http1Cases } from "./cases/http1.ts";
import { http2Cases } from "./cases/http2.ts";
import { jsonCases } from "./cases/json.ts";
import { pictureCases } from "./cases/pictures.ts";
import { promptCases } from "./cases/prompts.ts";
import { protocolCases } from "./cases/protocols.ts";
import { webCases } from "./cases/web.ts";
import { startTarget, type Target } from "./target.ts";

const families = {
  "HTTP/1": http1Cases,
  "HTTP/2": http2Cases,
  protocols: protocolCases,
  JSON: jsonCases,
  pictures: pictureCases,
  prompts: promptCases,
  web: webCases,
  floods: floodCases,
} as const;

const MAX_GAP_MS = 150;
const MAX_HEALTH_MS = 200;
const MAX_GROWTH_BYTES = 300 * 1024 * 1024;
const MAX_KEPT_BYTES = 50 * 1024 * 1024;
/** Machines stall by themselves now and then; a missing guard stalls every time. */
const ATTEMPTS = 3;
const PROMPT = "One small yellow bird sings.";

/** What no answer may hold: a place on the disk, a line of code, an internal name. */
const LEAKS = [
  /\/(work|home|usr|root|tmp)\//,
  /node_modules/,
  /\bat \S+ \(.*:\d+:\d+\)/,
  /node:internal/,
];

let target: Target;
let canary: Canary;

beforeAll(async () => {
  target = await startTarget();
  canary = openCanary(target.grpcPort);
  await (await canary.sing(PROMPT)).result;
});
afterAll(async () => {
  canary?.close();
  await target?.stop();
});

describe("the catalogue", () => {
  it("holds at least 200 cases of distinct guards", () => {
    const guards = Object.values(families)
      .flat()
      .map(({ guard }) => guard);
    expect(guards.length - new Set(guards).size).toBe(0);
    expect(guards.length).toBeGreaterThanOrEqual(200);
  });
});

describe.each(Object.entries(families))("the gateway under hostile %s", (_family, cases) => {
  it.each(cases)("$name", async (hostile) => {
    for (let attempt = 1; ; attempt++) {
      const disturbed = await attackOnce(hostile);
      if (disturbed === undefined) return;
      if (attempt === ATTEMPTS) throw new Error(disturbed);
    }
  });

  it("holds no more afterwards than before", async () => {
    const before = await target.holding();
    for (let round = 0; round < 3; round++) {
      await Promise.all(cases.slice(0, 20).map(({ attack }) => launch(attack, target)));
    }
    const after = await target.holding();
    expect(after.heap + after.external - before.heap - before.external).toBeLessThan(
      MAX_KEPT_BYTES,
    );
  }, 60_000);
});

/** Launches one case beside a canary. Answers how others were disturbed, if they were. */
async function attackOnce(hostile: HostileCase): Promise<string | undefined> {
  const before = await target.holding();
  const song = await canary.sing(PROMPT);
  const health = timeHealth();
  const outcome = await launch(hostile.attack, target);
  const { text, spelled, maxGapMs } = await song.result;
  expect(target.isAlive(), target.log()).toBe(true);
  expect({ text, spelled }).toEqual({ text: PROMPT, spelled: PROMPT });
  expect(outcome).toSatisfy(
    (answer: string) => hostile.allowed.some((allowed) => allowed.test(answer)),
    `one of ${hostile.allowed.join(" ")} expected, got:\n${outcome.slice(0, 2000)}`,
  );
  for (const leak of LEAKS) expect(outcome).not.toMatch(leak);
  const healthMs = await health;
  const peak = await target.holding();
  expect(peak.rss - before.rss).toBeLessThan(MAX_GROWTH_BYTES);
  if (maxGapMs > MAX_GAP_MS) return `another client heard a gap of ${Math.round(maxGapMs)} ms`;
  if (healthMs > MAX_HEALTH_MS) return `/health took ${Math.round(healthMs)} ms`;
  return undefined;
}

/** Asks for `/health` twice while the attack is under way; answers the longer time. */
async function timeHealth(): Promise<number> {
  let longestMs = 0;
  for (const delayMs of [5, 60]) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const begunMs = performance.now();
    const answer = await fetch(`http://127.0.0.1:${target.httpPort}/health`);
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
    longestMs = Math.max(longestMs, performance.now() - begunMs);
  }
  return longestMs;
}
