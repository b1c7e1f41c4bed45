import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type Context, Hono } from "hono";
import type { Feed, FeedName, Releases } from "../updates/catalog.ts";
import { toFeed } from "../updates/catalog.ts";
import { mediaTypeOf, publicManifest, type ReleaseFile } from "../updates/manifest.ts";
import { problem, problemResponse } from "./problem.ts";

const FEED_SECONDS = 60;
const feedNames: readonly FeedName[] = ["appcast.xml", "appcast-beta.xml"];

/**
 * The update feed, which needs no token: `/appcast.xml`, `/appcast-beta.xml`, `/manifest.json` (the
 * newest stable release), `/downloads/{name}`, `/api/versions`, `/api/manifests`, `/api/artifacts`. Only
 * files that a manifest names are served.
 */
export function updateRoutes(releases: Releases): Hono {
  const routes = new Hono();
  for (const name of feedNames) {
    routes.get(`/${name}`, async (context) => {
      const { feeds } = await releases.read();
      return answerFeed(context, feeds[name], "application/rss+xml; charset=utf-8");
    });
  }
  routes.get("/manifest.json", async (context) => {
    const newest = (await releases.read()).releases.find(({ channel }) => channel === "stable");
    if (newest) return answerJson(context, publicManifest(newest, releases.urlOf));
    return problemResponse(problem(404, "not_found", "there is no release yet"));
  });
  routes.get("/api/versions", async (context) => {
    const versions = (await releases.read()).releases.map(
      ({ version, build, channel, release_date, critical }) => ({
        version,
        build,
        channel,
        release_date,
        critical,
      }),
    );
    return answerJson(context, { versions });
  });
  routes.get("/api/manifests", async (context) => {
    const all = (await releases.read()).releases;
    const manifests = all.map((release) => publicManifest(release, releases.urlOf));
    return answerJson(context, { manifests });
  });
  routes.get("/api/artifacts", async (context) => {
    const { files } = await releases.read();
    const artifacts = [...files.values()].map((file) => ({
      ...file,
      url: releases.urlOf(file.name),
    }));
    return answerJson(context, { artifacts });
  });
  routes.get("/downloads/:name", async (context) => {
    const file = (await releases.read()).files.get(context.req.param("name"));
    return (file && (await answerFile(context, releases.folder, file))) ?? noFile();
  });
  return routes;
}

function noFile(): Response {
  return problemResponse(problem(404, "not_found", "there is no such download"));
}

function answerJson(context: Context, value: unknown): Response {
  const feed = toFeed(Buffer.from(JSON.stringify(value)));
  return answerFeed(context, feed, "application/json");
}

function answerFeed(context: Context, { bytes, etag }: Feed, type: string): Response {
  const headers = { etag, "cache-control": `public, max-age=${FEED_SECONDS}` };
  if (matches(context.req.header("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(bytes, { headers: { ...headers, "content-type": type } });
}

/** Whether a header `if-none-match` names the tag. Tags are compared weakly (RFC 9110). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(etag);
}

/** A file, or the range of it that was asked for. Undefined if the folder has no such file. */
async function answerFile(
  context: Context,
  folder: string,
  file: ReleaseFile,
): Promise<Response | undefined> {
  const etag = `"${file.sha256}"`;
  const headers = {
    etag,
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=31536000, immutable",
  };
  if (matches(context.req.header("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  const ifRange = context.req.header("if-range");
  const asked = ifRange === undefined || ifRange === etag ? context.req.header("range") : undefined;
  const range = parseRange(asked, file.size);
  if (range === "unsatisfiable") {
    const refusal = problem(416, "out_of_range", `the file has ${file.size} bytes`);
    return problemResponse(refusal, { "content-range": `bytes */${file.size}` });
  }
  const handle = await openFile(join(folder, file.name), file.size);
  if (handle === undefined) return undefined;
  const { start, end } = range ?? { start: 0, end: file.size - 1 };
  const isHead = context.req.method === "HEAD";
  if (isHead) await handle.close();
  return new Response(isHead ? null : toBody(handle, start, end), {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      "content-type": mediaTypeOf(file.name),
      "content-length": String(end - start + 1),
      "content-disposition": `attachment; filename="${file.name}"`,
      "x-content-type-options": "nosniff",
      ...(range && { "content-range": `bytes ${start}-${end}/${file.size}` }),
    },
  });
}

/** Opens a regular file of this size: no link, no half file. */
async function openFile(path: string, size: number): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch(() => undefined);
  const found = await handle?.stat();
  if (found?.isFile() && found.size === size) return handle;
  await handle?.close();
  return undefined;
}

function toBody(handle: FileHandle, start: number, end: number): ReadableStream<Uint8Array> {
  const stream = handle.createReadStream({ start, end });
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}

/** Bytes of a file, both ends included. */
export type ByteRange = { readonly start: number; readonly end: number };

/**
 * Reads a header `range`. Undefined for the whole file: no header, another unit, or more than one range,
 * which a server need not serve. A range that is malformed or lies outside is `unsatisfiable`.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  if (header === undefined || !/^bytes=/i.test(header)) return undefined;
  const text = header.slice("bytes=".length).trim();
  if (text.includes(",")) return undefined;
  const [, first = "", last = ""] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? [];
  if (first === "" && Number(last) > 0) {
    return { start: Math.max(0, size - Number(last)), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (first === "" || start >= size || (last !== "" && Number(last) < start))
    return "unsatisfiable";
  return { start, end };
}
