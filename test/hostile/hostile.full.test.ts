import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HostileCase, launch } from "./attack.ts";
import { type Canary, startCanary } from "./canary.ts";
import { doorCases } from "./cases/doors.ts";
import { floodCases } from "./cases/floods.ts";
import { http1Cases } from "./cases/http1.ts";
import { http2Cases } from "./cases/http2.ts";
import { jsonCases } from "./cases/json.ts";
import { pictureCases } from "./cases/pictures.ts";
import { promptCases } from "./cases/prompts.ts";
import { protocolCases } from "./cases/protocols.ts";
import { toolCases } from "./cases/tools.ts";
import { webCases } from "./cases/web.ts";
import { type Report, startTarget, type Target } from "./target.ts";

const families = {
  "HTTP/1": http1Cases,
  "HTTP/2": http2Cases,
  protocols: protocolCases,
  JSON: jsonCases,
  pictures: pictureCases,
  prompts: promptCases,
  web: webCases,
  tools: toolCases,
  doors: doorCases,
  floods: floodCases,
} as const;

/** How long one turn of the event loop may keep the gateway busy, in CPU time, unless a case says. */
const MAX_STALL_MS = 250;
/** What another client may notice. Most of it is the machine's own doing. */
const MAX_GAP_MS = 2000;
const MAX_GROWTH_BYTES = 300 * 1024 * 1024;
const MAX_KEPT_BYTES = 50 * 1024 * 1024;
/** What the allocator may keep of the process's memory after repeats. */
const MAX_DRIFT_BYTES = 100 * 1024 * 1024;
/** Machines stall by themselves now and then; a missing guard stalls every time. */
const ATTEMPTS = 3;
const patient = { timeout: 10_000, interval: 10 };
const PROMPT = "A bird sings.";

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
  await (await canary.speak(PROMPT)).over;
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

describe.each(Object.entries(families))("the gateway under hostile %s", (family, cases) => {
  it.each(cases)("$name", async (hostile) => {
    for (let attempt = 1; ; attempt++) {
      const disturbed = await attackOnce(hostile);
      if (disturbed === undefined) return;
      if (attempt === ATTEMPTS) throw new Error(disturbed);
    }
  });

  it("holds no more after repeats than before", { timeout: 120_000 }, async () => {
    const repeats = family === "floods" ? 2 : 5;
    const repeated = cases.slice(0, 10);
    const round = () => Promise.all(repeated.map((hostile) => launchCase(hostile)));
    for (let count = 0; count < 2; count++) await round();
    const before = await idle();
    for (let count = 0; count < repeats; count++) await round();
    await expect
      .poll(async () => (await idle()).heldBytes - before.heldBytes, {
        ...patient,
        timeout: 75_000,
      })
      .toBeLessThan(MAX_KEPT_BYTES);
    expect((await idle()).rssBytes - before.rssBytes).toBeLessThan(MAX_DRIFT_BYTES);
  });
});

/** Launches one case beside a canary. Answers how others were disturbed, if they were. */
async function attackOnce(hostile: HostileCase): Promise<string | undefined> {
  const before = await target.report("first");
  const { over } = await canary.speak(PROMPT);
  const outcome = await launchCase(hostile);
  const during = await target.report("now");
  expect(target.isAlive(), target.log()).toBe(true);
  expect(hostile.expected.test(outcome), `${hostile.expected}: ${outcome.slice(0, 2000)}`).toBe(
    true,
  );
  for (const leak of LEAKS) expect(outcome).not.toMatch(leak);
  const { text, spelled, maxGapMs, healthMs } = await over;
  expect({ text, spelled }).toEqual({ text: PROMPT, spelled: PROMPT });
  expect(during.rssBytes - before.rssBytes).toBeLessThan(MAX_GROWTH_BYTES);
  await turnsOver();
  const { stallMs } = await target.report("now");
  const { maxStallMs = MAX_STALL_MS } = hostile;
  if (stallMs > maxStallMs) return `the event loop was busy for ${Math.round(stallMs)} ms`;
  if (maxGapMs > MAX_GAP_MS) return `another client heard a gap of ${Math.round(maxGapMs)} ms`;
  if (healthMs > MAX_GAP_MS) return `/health took ${Math.round(healthMs)} ms`;
  return undefined;
}

function launchCase(hostile: HostileCase): Promise<string> {
  return launch(hostile.attack, target, (outcome) => hostile.expected.test(outcome));
}

/** Waits until no turn of an attack is left. */
async function turnsOver(): Promise<void> {
  await expect.poll(async () => (await target.report("now")).turns, patient).toBe(0);
}

/** What is left when all turns are over and the garbage is collected. */
async function idle(): Promise<Report> {
  await turnsOver();
  return target.report("collected");
}
