import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { etag } from "hono/etag";
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

type Bytes = Uint8Array<ArrayBuffer>;

/** A file of the page, in memory, also compressed: smallest first. */
type PageFile = {
  readonly bytes: Bytes;
  readonly type: string;
  readonly compressed: readonly { readonly encoding: "br" | "gzip"; readonly bytes: Bytes }[];
};

/** As small as 150 kB become in a tenth of a second. */
const BROTLI_QUALITY = 9;

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
    files.set(name === "/index.html" ? "/" : name, await readPageFile(path, type));
  }
  return files;
}

async function readPageFile(path: string, type: string): Promise<PageFile> {
  const bytes = await readFile(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(bytes, { params }),
    promisify(gzip)(bytes),
  ]);
  return {
    bytes,
    type,
    compressed: [
      { encoding: "br", bytes: br },
      { encoding: "gzip", bytes: gz },
    ],
  };
}

/** What the page may use of the browser: the microphone to dictate, and a still of the screen. */
const permissionsPolicy = {
  camera: [],
  displayCapture: ["self"],
  geolocation: [],
  microphone: ["self"],
  midi: [],
  payment: [],
  usb: [],
};

/**
 * Serves the page's files, and nothing that is not among them: no path reaches the disk. Scripts,
 * styles and connections come from this origin alone, and no text becomes HTML or a script. Files with
 * their hash in their name are kept for a year, the others are asked for again by their `ETag`.
 */
export function pageRoutes(page: Page): Hono {
  const routes = new Hono();
  const headers = secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      // The preview of a picture that <img> alone can read.
      imgSrc: ["'self'", "blob:"],
      objectSrc: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
    permissionsPolicy,
    strictTransportSecurity: false,
    crossOriginResourcePolicy: "same-origin",
  });
  for (const [path, file] of page) {
    const cacheControl = path.startsWith("/assets/")
      ? "public, max-age=31536000, immutable"
      : "no-cache";
    routes.get(path, headers, etag(), (context) => {
      const { bytes, encoding } = chooseEncoding(context, file);
      context.header("vary", "accept, accept-encoding, origin");
      if (encoding) context.header("content-encoding", encoding);
      return context.body(bytes, 200, {
        "content-type": file.type,
        "cache-control": cacheControl,
      });
    });
  }
  return routes;
}

/** The smallest form of a file that the browser takes. */
function chooseEncoding(
  context: Context,
  { bytes, compressed }: PageFile,
): { readonly bytes: Bytes; readonly encoding?: "br" | "gzip" } {
  const supports = [...compressed.map(({ encoding }) => encoding), "identity"];
  const chosen = accepts(context, {
    header: "Accept-Encoding",
    supports,
    default: "identity",
    match: (wanted) => preferred(wanted, supports),
  });
  return compressed.find(({ encoding }) => encoding === chosen) ?? { bytes };
}

/** The first of ours that the browser takes at all: each is smaller than the next. */
function preferred(
  wanted: readonly { readonly type: string; readonly q: number }[],
  supports: readonly string[],
): string {
  return (
    supports.find((encoding) => wanted.some(({ type, q }) => type === encoding && q > 0)) ??
    "identity"
  );
}
