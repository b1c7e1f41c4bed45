import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

/** A file of the page, in memory. */
type PageFile = { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string };

/** The page's files by URL path: `/assets/main-1a2b.js`. */
export type Page = ReadonlyMap<string, PageFile>;

/** Reads a built page. Empty if the folder does not exist: then `/` answers 404. */
export async function readPage(folder: string): Promise<Page> {
  const files = new Map<string, PageFile>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const type = types[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const name = `/${relative(folder, path).split(sep).join("/")}`;
    files.set(name === "/index.html" ? "/" : name, { bytes: await readFile(path), type });
  }
  return files;
}

/**
 * Serves the page's files, and nothing that is not among them: no path reaches the disk. Scripts,
 * styles and connections come from this origin alone.
 */
export function pageRoutes(page: Page): Hono {
  const routes = new Hono();
  const headers = secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
    },
    strictTransportSecurity: false,
    crossOriginResourcePolicy: "same-origin",
  });
  for (const [path, file] of page) {
    const cacheControl = path.startsWith("/assets/")
      ? "public, max-age=31536000, immutable"
      : "no-cache";
    routes.get(path, headers, (context) =>
      context.body(file.bytes, 200, { "content-type": file.type, "cache-control": cacheControl }),
    );
  }
  return routes;
}
