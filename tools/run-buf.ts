import { execFile } from "node:child_process";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const packages = fileURLToPath(new URL("../node_modules", import.meta.url));
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs buf in the folder `root` and returns its standard output. Rejects with buf's own message,
 * which names file and line, if it fails.
 */
export async function runBuf(root: string, args: readonly string[]): Promise<Uint8Array> {
  // buf looks for protoc-gen-es on the path, which only npm's scripts have set up.
  const { PATH = "" } = process.env;
  const env = { ...process.env, PATH: `${packages}/.bin${delimiter}${PATH}` };
  const argv = [`${packages}/@bufbuild/buf/bin/buf`, ...args];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, argv, {
      cwd: root,
      env,
      encoding: "buffer",
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout;
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim();
    throw new Error(`buf ${args[0]} failed: ${said || String(error)}`, { cause: error });
  }
}
