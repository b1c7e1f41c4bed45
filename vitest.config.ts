import { defineConfig } from "vitest/config";

const liveTests = "test/providers/live.test.ts";
const fullTests = "**/*.full.test.ts";
// test/foreign has packages of its own, and some bring their tests.
const foreign = ["**/node_modules/**"];

// "unit" tests stand beside the code and never wait for a wall clock. "system" tests start real
// servers, clients and child processes: two files at a time, for they mostly wait. "alone" are those
// of them that watch time, sound or memory closely: one file at a time, so that none disturbs another.
// `npm test` leaves out the long matrices, *.full.test.ts; the mode "full" runs every test.
// "live" tests call the real services and may be billed: they run in the mode of that name alone.
export default defineConfig(({ mode }) => ({
  test: {
    projects: projectsOf(mode),
    coverage: {
      provider: "v8" as const,
      include: ["server/**/*.ts"],
      // Processes and threads of their own, which are not counted.
      exclude: ["**/*.test.ts", "server/main.ts", "server/data.ts", "server/storage/worker.ts"],
      reporter: ["text-summary", "json-summary"],
      reportOnFailure: true,
      thresholds,
    },
  },
}));

/** In the mode "full" the tests of the RPCs run twice: the second time all goes through connect-node. */
function projectsOf(mode: string) {
  if (mode === "live") return [live];
  if (mode === "soak") return [aloneOf(mode)];
  const projects = [unit, systemOf(mode), aloneOf(mode)];
  return mode === "full" ? [...projects, connectWay] : projects;
}

/** A test without an assertion cannot fail. What is waited for may take long on a busy machine. */
const expect = { requireAssertions: true, poll: { timeout: 10_000 } };

const unit = {
  test: {
    name: "unit",
    include: ["{server,web,tools,emulators}/**/*.test.ts"],
    // Seconds at most when it is quiet; a busy machine and coverage make them many more.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect,
    // By default one core is left free.
    maxWorkers: 2,
    sequence: { groupOrder: 0 },
  },
};

/** Those that run for longer the longer they are given. */
const soakTests = [
  "test/fuzz/*.test.ts",
  "test/browser/page-{firefox,heap}.full.test.ts",
  "test/storage/kill.test.ts",
  "test/{as-heard,resume,cluster/resume.full}.test.ts",
  "test/{bench,wire/sameness}.full.test.ts",
];

/** Those that another test beside them can disturb: what they watch is time, sound or memory. */
const aloneTests = [
  "test/{fuzz,hostile,local-tts}/**/*.test.ts",
  "test/hardening/{bodies,budget.full,limits.full,unread-log.full}.test.ts",
  "test/wire/{cost,slow-listener}.test.ts",
  "test/browser/{page,page-{captions,dictation,line,opus,sound,turn,words},speak}.full.test.ts",
  "test/providers/kokoro.full.test.ts",
  "test/{as-heard,bench.full,gapless,many-turns}.test.ts",
  "test/{cluster/interrupts,failover/{black-holes,hung-voice,local-capacity}}.full.test.ts",
];

/** 310 turns of the page, and installing Firefox, take minutes: the soak has them. */
const soakOnlyTests = "test/browser/page-{firefox,heap}.full.test.ts";

function excludedOf(mode: string): string[] {
  if (mode === "soak") return [...foreign, liveTests];
  return [...foreign, liveTests, ...(mode === "full" ? [soakOnlyTests] : [fullTests])];
}

const systemTest = {
  expect,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  provide: { responseWire: true },
};

const systemOf = (mode: string) => ({
  test: {
    ...systemTest,
    name: "system",
    include: ["test/**/*.test.ts"],
    exclude: [...excludedOf(mode), ...aloneTests],
    maxWorkers: 2,
    sequence: { groupOrder: 1 },
  },
});

const aloneOf = (mode: string) => ({
  test: {
    ...systemTest,
    name: "alone",
    include: mode === "soak" ? soakTests : aloneTests,
    exclude: excludedOf(mode),
    fileParallelism: false,
    sequence: { groupOrder: 2 },
  },
});

const connectWay = {
  test: {
    ...systemTest,
    name: "connect-node's way",
    include: [
      "test/{collect,contract,gapless,grpc-web-text,history,many-turns}.test.ts",
      "test/{message-limits,refusals,resume,screenshots}.test.ts",
      "test/{clients,failover}/*.test.ts",
    ],
    exclude: [fullTests],
    maxWorkers: 2,
    sequence: { groupOrder: 3 },
    provide: { responseWire: false },
  },
};

const live = {
  test: {
    name: "live",
    include: [liveTests],
    expect,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // One service after another: they count requests a minute.
    fileParallelism: false,
  },
};

/** The least coverage of each package, in percent: what it was, rounded down to 5. */
const thresholds = {
  // `main.ts`, `token.ts`, `release.ts` and `data.ts` run in processes of their own, which are not counted.
  "server/*.ts": { lines: 65, branches: 45 },
  "server/agent/**": { lines: 90, branches: 80 },
  // Decoders and models run in processes of their own, which are not counted.
  "server/analysis/**": { lines: 50, branches: 30 },
  "server/auth/**": { lines: 95, branches: 80 },
  "server/cluster/**": { lines: 90, branches: 75 },
  "server/config/**": { lines: 100, branches: 95 },
  "server/conversation/**": { lines: 95, branches: 85 },
  "server/core/**": { lines: 95, branches: 95 },
  "server/doors/**": { lines: 90, branches: 75 },
  "server/failover/**": { lines: 95, branches: 95 },
  "server/http/**": { lines: 95, branches: 90 },
  "server/local-tts/**": { lines: 90, branches: 80 },
  "server/providers/**": { lines: 95, branches: 90 },
  "server/rpc/**": { lines: 95, branches: 90 },
  // Most of it runs in the thread of the database, which is not counted.
  "server/storage/**": { lines: 70, branches: 60 },
  "server/telemetry/**": { lines: 95, branches: 85 },
  "server/transport/**": { lines: 95, branches: 90 },
  "server/updates/**": { lines: 90, branches: 80 },
};
