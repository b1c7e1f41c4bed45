import { describe, expect, it } from "vitest";
import { makePlan, type Plan } from "./plan.ts";
import { createRandom } from "./random.ts";
import { findProblems } from "./turns.ts";

/** Turns by the mode of the run: `npm test`, `npm run test:full`, `npm run test:soak`. */
const turnsOf: Readonly<Record<string, number>> = { full: 500, soak: 5000 };
const { MODE = "", FUZZ_SEED } = process.env;
const turns = turnsOf[MODE] ?? 60;
/** The soak looks for what nobody has seen yet; the others must not fail by chance. */
const seed = Number(FUZZ_SEED ?? (MODE === "soak" ? Date.now() % 1_000_000 : 1));
const together = 4;

describe(`${turns} fuzzed turns with the seed ${seed} (FUZZ_SEED)`, () => {
  it("say each word once, glue nothing, and end where a tier can end them", async () => {
    const failures: { plan: Plan; problems: readonly string[] }[] = [];
    let next = 0;
    const work = async () => {
      while (next < turns) {
        const plan = planOf(seed + next++);
        const problems = await findProblems(plan);
        if (problems.length > 0) failures.push({ plan, problems });
      }
    };
    await Promise.all(Array.from({ length: together }, work));
    console.log(`fuzz: ${turns} turns, seed ${seed}, ${failures.length} failed`);
    for (const { plan, problems } of failures) console.log(describePlan(plan), problems.join("; "));
    expect(failures.slice(0, 3), `${failures.length} of ${turns} failed`).toEqual([]);
  }, 1_800_000);
});

const planOf = (turnSeed: number) => makePlan(createRandom(turnSeed), turnSeed);

const describePlan = ({ seed, reply, models, voices, bargeIn, readerMs }: Plan) =>
  [
    `seed ${seed} ${reply.script}`,
    `models ${models.map(({ fault }) => fault?.kind ?? "ok").join(",")}`,
    `voices ${voices.map(({ timings, faults }) => `${timings}:${faults.length}`).join(",")}`,
    bargeIn ? `${bargeIn.how} after ${bargeIn.after}` : "",
    readerMs ? `reads every ${readerMs} ms` : "",
  ].join(" | ");
