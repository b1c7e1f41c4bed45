import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HostileCase, launch } from "./attack.ts";
import { type Canary, startCanary } from "./canary.ts";
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
/** What the allocator may keep of the process's memory after ten repeats. */
const MAX_DRIFT_BYTES = 100 * 1024 * 1024;
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
  canary = startCanary(target);
  await (await canary.sing(PROMPT)).song;
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

  it("holds no more after ten repeats than before", async () => {
    const repeated = cases.slice(0, 10);
    const round = () => Promise.all(repeated.map(({ attack }) => launch(attack, target)));
    await round();
    const before = await target.holding("collected");
    for (let count = 0; count < 10; count++) await round();
    const after = await target.holding("collected");
    const kept = after.heap + after.external - before.heap - before.external;
    expect(kept).toBeLessThan(MAX_KEPT_BYTES);
    expect(after.rss - before.rss).toBeLessThan(MAX_DRIFT_BYTES);
  }, 120_000);
});

/** Launches one case beside a canary. Answers how others were disturbed, if they were. */
async function attackOnce(hostile: HostileCase): Promise<string | undefined> {
  const before = await target.holding("now");
  const { song } = await canary.sing(PROMPT);
  const outcome = await launch(hostile.attack, target);
  const peak = await target.holding("now");
  expect(target.isAlive(), target.log()).toBe(true);
  expect(outcome).toSatisfy(
    (answer: string) => hostile.allowed.some((allowed) => allowed.test(answer)),
    `one of ${hostile.allowed.join(" ")} expected, got:\n${outcome.slice(0, 2000)}`,
  );
  for (const leak of LEAKS) expect(outcome).not.toMatch(leak);
  const { text, spelled, maxGapMs, healthMs } = await song;
  expect({ text, spelled }).toEqual({ text: PROMPT, spelled: PROMPT });
  expect(peak.rss - before.rss).toBeLessThan(MAX_GROWTH_BYTES);
  if (maxGapMs > MAX_GAP_MS) return `another client heard a gap of ${Math.round(maxGapMs)} ms`;
  if (healthMs > MAX_HEALTH_MS) return `/health took ${Math.round(healthMs)} ms`;
  return undefined;
}
