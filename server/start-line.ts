import type { Address, Addresses } from "./app.ts";
import type { Config } from "./config/config.ts";
import type { GatewayStatus, ProviderStatus } from "./http/status.ts";

/** The lines on standard output once the gateway listens: addresses, tiers and a first command. */
export function startLine(status: GatewayStatus, addresses: Addresses, config: Config): string {
  const scheme = config.tls ? "https" : "http";
  const page = url(addresses.http, scheme);
  const tiers = (kind: "text" | "speech") =>
    status.providers
      .filter((provider) => provider.kind === kind)
      .map((provider) => provider.name)
      .join(", ");
  return [
    `Parley ${status.version} listens on ${page} and ${url(addresses.grpc, scheme)} (gRPC, gRPC-Web, Connect and HTTP on both)`,
    ...(addresses.updates
      ? [`The update feed is at ${url(addresses.updates, scheme)}/appcast.xml`]
      : []),
    ...(addresses.wyoming ? [`Wyoming is at ${url(addresses.wyoming, "tcp")}`] : []),
    `Text: ${tiers("text")}. Speech: ${tiers("speech")}.${hint(config)}`,
    ...status.providers.filter(({ misconfigured }) => misconfigured).map(problem),
    `Open ${page}/ or try:`,
    `  curl -sN ${page}/v1/speak -H 'content-type: application/json' -d '{"prompt":"say: Hello from Parley.","hardware_id":"curl"}' | play -q -`,
    "",
  ].join("\n");
}

function problem({ name, lastError = "" }: ProviderStatus): string {
  const reason = lastError.startsWith(`${name}: `) ? lastError : `${name}: ${lastError}`;
  return `Skipped (misconfigured): ${reason}`;
}

/** The setting that would add most. */
function hint({ providers }: Config): string {
  if (!providers.gemini && !providers.langchain) {
    return " Set GEMINI_API_KEY for a model that answers and speaks.";
  }
  if (!providers.azure) return " Set AZURE_SPEECH_KEY for voices in many languages.";
  return "";
}

function url({ host, port }: Address, scheme: string): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
