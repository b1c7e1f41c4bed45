import { defineConfig } from "vitest/config";

const liveTests = "test/providers/live.test.ts";

// "unit" tests stand beside the code and never wait for a wall clock. "system" tests start real
// servers, clients, browsers and child processes: one file at a time, so that none disturbs another.
// "live" tests call the real services and may be billed: they run in the mode of that name alone.
export default defineConfig(({ mode }) => ({
  test: { projects: mode === "live" ? [live] : [unit, system] },
}));

const unit = {
  test: {
    name: "unit",
    include: ["{server,web,tools,emulators}/**/*.test.ts"],
    sequence: { groupOrder: 0 },
  },
};

const system = {
  test: {
    name: "system",
    include: ["test/**/*.test.ts"],
    exclude: [liveTests],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
    sequence: { groupOrder: 1 },
  },
};

const live = {
  test: {
    name: "live",
    include: [liveTests],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // One service after another: they count requests a minute.
    fileParallelism: false,
  },
};
