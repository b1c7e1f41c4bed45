import { createHash } from "node:crypto";
import type { Context } from "hono";
import { html, raw } from "hono/html";
import { secureHeaders } from "hono/secure-headers";

/** A part of the gateway. The agent says more: `AgentStatus`. */
export type ModuleStatus = {
  /** `storage`; of a tier `text/NAME` or `speech/NAME`. */
  readonly name: string;
  /** False if the settings leave it out. */
  readonly enabled: boolean;
  /**
   * `ok`, `off`, `opening`, `degraded`, `stopping`; of a tier also `skipped` (its circuit is open),
   * `probing` (the next call decides), `misconfigured`; of the agent as `AgentState` says.
   */
  readonly state: string;
  /** When it came to its state, within a second, in RFC 3339. */
  readonly since: string;
  /** 0 to 1; absent before the first try. */
  readonly successRate?: number;
  /** Why it has its state, where it says so. */
  readonly reason?: string;
  /** The last error since the start. */
  readonly lastError?: string;
  /** Its kind, where errors have one. */
  readonly lastErrorKind?: string;
};

/** What the page shows of the status. */
type ShownStatus = {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly activeSessions: number;
  readonly sessions: {
    readonly peak: number;
    readonly cut: { readonly interrupted: number; readonly disconnected: number };
  };
  readonly turns: Readonly<Record<string, number>>;
  readonly modules: readonly ModuleStatus[];
  readonly failovers: readonly {
    readonly from: string;
    readonly to: string;
    readonly midway: boolean;
    readonly times: number;
  }[];
};

/** The page's style. It stands in the page itself, and its hash in the page's CSP. */
const style = `
:root { color-scheme: light dark; --ink: light-dark(#1c2224, #eeece6);
  --faint: light-dark(#5d676a, #9aa5a8); --line: light-dark(#dedad0, #323b3f);
  --page: light-dark(#faf9f6, #14181a); --card: light-dark(#fff, #1d2326);
  --good: light-dark(#0b6b66, #6ed3c4); --bad: light-dark(#a3261d, #ff9d90);
  --warn: light-dark(#7a5200, #f0c060); --off: light-dark(#5d676a, #9aa5a8); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; color: var(--ink);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
p { margin: .5rem 0; color: var(--faint); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; }
.facts div { padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
th, td { padding: .5rem .75rem; text-align: left; vertical-align: top;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--faint); font-size: .85rem; font-weight: 600; }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.state { white-space: nowrap; font-weight: 600; }
.state::before { content: "\\25CF"; margin-right: .4em; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.off { color: var(--off); } .off::before { content: "\\25CB"; }
.kind { display: block; color: var(--faint); font-size: .85rem; }
@media (max-width: 40rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { display: grid; grid-template-columns: 1fr auto; padding: .6rem .9rem;
    border-top: 1px solid var(--line); }
  tbody tr:first-child { border-top: 0; }
  th, td { padding: .1rem 0; border: 0; }
  td[data-label], td.wide { grid-column: 1 / -1; }
  td.wide { color: var(--faint); }
  td:empty { display: none; }
  td[data-label]:not(:empty)::before { content: attr(data-label) " "; color: var(--faint); }
  .number { text-align: left; } }
`;

const styleHash = createHash("sha256").update(style).digest("base64");

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: [`'sha256-${styleHash}'`],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    requireTrustedTypesFor: ["'script'"],
    trustedTypes: ["'none'"],
  },
  strictTransportSecurity: false,
  crossOriginResourcePolicy: "same-origin",
});

/** Answers the status as a page to read. It runs no script and asks for nothing else. */
export async function answerStatusPage(context: Context, status: ShownStatus): Promise<Response> {
  await headers(context, async () => {
    context.res = await context.html(renderStatusPage(status));
  });
  return context.res;
}

function renderStatusPage(status: ShownStatus) {
  const { version, uptimeSeconds, activeSessions, sessions, turns, modules, failovers } = status;
  const ended = Object.values(turns).reduce((sum, each) => sum + each, 0);
  const troubled = modules.filter((module) => !quietTones.includes(toneOf(module))).length;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Parley: status</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
<h1>Parley ${version}</h1>
<p>${troubled === 0 ? "Everything that is on works." : `Parts that need a look: ${troubled} of ${modules.length}.`}</p>
<dl class="facts">
${fact("Up for", durationText(uptimeSeconds))}
${fact("Turns in progress", activeSessions)}
${fact("Most at once", sessions.peak)}
${fact("Turns ended", ended)}
${fact("Broken off or failed", (turns["partial"] ?? 0) + (turns["failed"] ?? 0))}
${fact("Cut by users", sessions.cut.interrupted + sessions.cut.disconnected)}
</dl>
<h2>Parts</h2>
<table>
<thead><tr><th scope="col">Part</th><th scope="col">State</th><th scope="col" class="number">Success</th><th scope="col">Since</th><th scope="col">Last error</th></tr></thead>
<tbody>
${modules.map(moduleRow)}
</tbody>
</table>
${failovers.length > 0 && failoverTable(failovers)}
<p>The same as JSON: <code>curl -s …/status</code>. Counts restart with the process.</p>
</main>
</body>
</html>`;
}

function fact(name: string, value: string | number) {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function moduleRow(module: ModuleStatus) {
  const { name, state, since, successRate, reason, lastError, lastErrorKind } = module;
  const rate = successRate === undefined ? "" : `${Math.round(successRate * 1000) / 10} %`;
  const why = lastError ?? reason;
  return html`<tr><th scope="row">${name}</th><td><span class="state ${toneOf(module)}">${state}</span></td><td class="number" data-label="success">${rate}</td><td data-label="since"><time datetime="${since}">${since.slice(0, 19).replace("T", " ")} UTC</time></td><td class="wide">${lastErrorKind && html`<span class="kind">${lastErrorKind}</span>`}${why}</td></tr>`;
}

function failoverTable(failovers: ShownStatus["failovers"]) {
  const rows = failovers.map(
    ({ from, to, midway, times }) =>
      html`<tr><th scope="row">${from}</th><td>${to}</td><td>${midway ? "within a reply" : "before it began"}</td><td class="number" data-label="times">${times}</td></tr>`,
  );
  return html`<h2>Failovers</h2>
<table>
<thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">When</th><th scope="col" class="number">Times</th></tr></thead>
<tbody>${rows}</tbody>
</table>`;
}

const goodStates: readonly string[] = ["ok", "ready"];
const passingStates: readonly string[] = [
  "opening",
  "starting",
  "restarting",
  "probing",
  "stopping",
];

const quietTones: readonly string[] = ["good", "off"];

/** What fails more often than not needs a look, though its circuit is closed. */
function toneOf({
  enabled,
  state,
  successRate = 1,
}: ModuleStatus): "good" | "warn" | "bad" | "off" {
  if (!enabled || state === "off") return "off";
  if (goodStates.includes(state)) return successRate < 0.5 ? "warn" : "good";
  return passingStates.includes(state) ? "warn" : "bad";
}

function durationText(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
