/** Tokens that a client spent on a model of its own. */
export type UsageReport = {
  readonly deviceId: string;
  /** The session that the client named. */
  readonly sessionId?: string;
  /** What spent them: `browser_agent`. */
  readonly source: string;
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** The tokens of one source on one model. */
export type UsageTotal = {
  readonly source: string;
  readonly model: string;
  readonly reports: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** The tokens of one device, by source and model. */
type DeviceUsage = UsageTotal & { readonly deviceId: string };

/** Counts of what clients report, since the start. */
export type UsageCounts = {
  record(report: UsageReport): void;
  /** Over all devices, in the order of the first report. */
  totals(): readonly UsageTotal[];
  /** By device, latest report last. Evicted rows are missing. */
  byDevice(): readonly DeviceUsage[];
};

/** Sources, and models, that are counted by name; those that come later count as "other". */
const MAX_NAMES = 32;
const OTHER = "other";

/** Rows of device, source and model. The one that was reported longest ago is evicted. */
const MAX_DEVICE_ROWS = 10_000;

/** Makes empty counts. The totals include evicted rows. */
export function createUsageCounts(maxDeviceRows = MAX_DEVICE_ROWS): UsageCounts {
  const sources = new Set<string>();
  const models = new Set<string>();
  const totals = new Map<string, UsageTotal>();
  const devices = new Map<string, DeviceUsage>();
  return {
    record({ deviceId, ...report }) {
      const source = keptName(sources, report.source);
      const model = keptName(models, report.model);
      const key = JSON.stringify([source, model]);
      totals.set(key, added(totals.get(key), { ...report, source, model }));
      const deviceKey = JSON.stringify([deviceId, source, model]);
      const row = added(devices.get(deviceKey), { ...report, source, model });
      devices.delete(deviceKey);
      devices.set(deviceKey, { deviceId, ...row });
      const [oldest] = devices.keys();
      if (devices.size > maxDeviceRows && oldest !== undefined) devices.delete(oldest);
    },
    totals: () => [...totals.values()],
    byDevice: () => [...devices.values()],
  };
}

function keptName(names: Set<string>, name: string): string {
  if (names.has(name)) return name;
  if (names.size >= MAX_NAMES) return OTHER;
  names.add(name);
  return name;
}

function added(before: UsageTotal | undefined, report: Omit<UsageTotal, "reports">): UsageTotal {
  return {
    source: report.source,
    model: report.model,
    reports: (before?.reports ?? 0) + 1,
    inputTokens: (before?.inputTokens ?? 0) + report.inputTokens,
    outputTokens: (before?.outputTokens ?? 0) + report.outputTokens,
  };
}
