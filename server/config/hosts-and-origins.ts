/**
 * The problem with a web origin, if any. It must be as browsers send it in `Origin`: scheme, host, and
 * a port unless it is the scheme's default. `*` alone allows any origin.
 */
export function findOriginProblem(item: string, all: readonly string[]): string | undefined {
  if (item === "*")
    return all.length > 1 ? '"*" already allows any origin; name it alone' : undefined;
  const name = JSON.stringify(item);
  if (item === "null") return `${name} is the origin of every sandboxed page and cannot be allowed`;
  if (item.includes("*")) return `${name}: the only wildcard is "*" alone, for any origin`;
  const rule = "must be scheme, host and port as a browser sends them";
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(item))
    return `${name} ${rule}: ${suggestOrigin(`https://${item}`)}`;
  const suggestion = suggestOrigin(item);
  return suggestion === item ? undefined : `${name} ${rule}: ${suggestion}`;
}

/** The nearest origin. Schemes of apps (`capacitor://localhost`) have no `URL.origin`. */
function suggestOrigin(text: string): string {
  if (!URL.canParse(text)) return "https://app.example";
  const { protocol, host } = new URL(text);
  return host === "" ? "https://app.example" : `${protocol}//${host.toLowerCase()}`;
}

/** The problem with a host name, if any. It may have a port: `voice.example:8080`. */
export function findHostProblem(item: string): string | undefined {
  const name = JSON.stringify(item);
  if (item.includes("*")) return `${name}: wildcards are not supported; name each host`;
  const text = item.includes("://") ? item : `http://${item}`;
  const { host = "" } = URL.canParse(text) ? new URL(text) : {};
  if (host === item) return undefined;
  return `${name} must be a host in lower case, optionally with a port: ${host || "voice.example"}`;
}
