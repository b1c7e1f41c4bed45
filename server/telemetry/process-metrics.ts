import type { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";

/** Milliseconds between two looks at the event loop. */
export const LOOP_RESOLUTION_MS = 20;

/** Registers what is known of the process, by the names that other exporters use. */
export function registerProcess(
  registry: Registry,
  loop: ReturnType<typeof monitorEventLoopDelay>,
): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  // The histogram holds the time between its timer's runs.
  const lag = (nanoseconds: number) =>
    Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1000) || 0;
  gauge(
    "nodejs_eventloop_lag_p50_seconds",
    "Median delay of the event loop since the last scrape.",
    () => lag(loop.percentile(50)),
  );
  gauge("nodejs_eventloop_lag_p99_seconds", "Delay of the event loop, 99th percentile.", () =>
    lag(loop.percentile(99)),
  );
  gauge("nodejs_eventloop_lag_max_seconds", "Longest delay of the event loop.", () =>
    lag(loop.count === 0 ? 0 : loop.max),
  );
  gauge("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss());
  gauge("nodejs_heap_size_used_bytes", "Used heap.", () => process.memoryUsage().heapUsed);
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", () =>
    Math.round(Date.now() / 1000 - process.uptime()),
  );
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time of the process, user and system.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
