import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const DATA = fileURLToPath(new URL("../../server/data.ts", import.meta.url));

/** Runs `npm run data` with settings for the data of a folder, and more settings. */
export async function runData(
  folder: { readonly path: string; readonly env?: Readonly<Record<string, string>> },
  ...args: readonly string[]
) {
  const env = { PATH: process.env["PATH"] ?? "", DATA_DIR: folder.path, ...folder.env };
  const child = spawn(process.execPath, [DATA, ...args], { env });
  const [out, error] = [[] as string[], [] as string[]];
  child.stdout.setEncoding("utf8").on("data", (text: string) => out.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => error.push(text));
  const [code] = await once(child, "close");
  return { code, out: out.join(""), error: error.join("") };
}
