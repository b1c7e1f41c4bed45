import type { Address } from "./app.ts";
import type { Config } from "./config/config.ts";
import type { GatewayStatus, ProviderStatus } from "./http/status.ts";

/** What a person sees once the gateway listens: where it is, what speaks, and what to try. */
export function startLine(
  status: GatewayStatus,
  addresses: { readonly grpc: Address; readonly http: Address },
  config: Config,
): string {
  const page = url(addresses.http);
  const tiers = (kind: "text" | "speech") =>
    status.providers
      .filter((provider) => provider.kind === kind)
      .map((provider) => provider.name)
      .join(", ");
  return [
    `Parley ${status.version} listens on ${page} and ${url(addresses.grpc)} (gRPC, gRPC-Web, Connect and HTTP on both)`,
    `Text: ${tiers("text")}. Speech: ${tiers("speech")}.${hint(config)}`,
    ...status.providers.filter(({ misconfigured }) => misconfigured).map(problem),
    `Open ${page}/ or hear it:`,
    `  curl -sN ${page}/v1/speak -H 'content-type: application/json' -d '{"prompt":"say: Hello from Parley.","hardware_id":"curl"}' | play -q -`,
    "",
  ].join("\n");
}

function problem({ name, lastError = "" }: ProviderStatus): string {
  const reason = lastError.startsWith(`${name}: `) ? lastError : `${name}: ${lastError}`;
  return `Not usable as it is set up, so others take its place: ${reason}`;
}

/** The one variable that would bring most. */
function hint({ providers }: Config): string {
  if (!providers.gemini && !providers.langchain) {
    return " GEMINI_API_KEY would bring a model that answers and speaks.";
  }
  if (!providers.azure) return " AZURE_SPEECH_KEY would bring voices of many languages.";
  return "";
}

function url({ host, port }: Address): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
