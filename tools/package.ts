// Builds the npm package into build/package: JavaScript, because Node strips no types under
// node_modules, the page, and what else the gateway reads. `npm pack ./build/package` packs it.
import { spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "build/package");

/** Runs a program of this project's. Throws if it fails. */
function run(file: string, ...args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [join(root, file), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${file} failed`);
}

/** The compiler rewrites imports, but not the addresses of workers. */
function renameWorkers(): void {
  for (const path of globSync("server/**/*.js", { cwd: out })) {
    const file = join(out, path);
    const source = readFileSync(file, "utf8");
    const renamed = source.replace(/(new URL\("[^"]+)\.ts(", import\.meta\.url\))/g, "$1.js$2");
    if (renamed !== source) writeFileSync(file, renamed);
  }
}

/** Files that the gateway reads, and those that people do. */
function copyFiles(): void {
  const read = globSync("server/**/*.{sql,json,onnx}", { cwd: root });
  const others = ["bin/parley.js", "README.md", "LICENSE", "CHANGELOG.md", "config.env.example"];
  for (const path of [...read, ...others]) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    cpSync(join(root, path), join(out, path));
  }
  cpSync(join(root, "web/dist"), join(out, "web/dist"), { recursive: true });
}

/** What users of the package need of package.json. */
function describe(): void {
  const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { name, version, description, license, type, engines } = own;
  const { dependencies, optionalDependencies } = own;
  const described = {
    ...{ name, version, description, license, type, engines },
    bin: { parley: "bin/parley.js" },
    ...{ dependencies, optionalDependencies },
  };
  writeFileSync(join(out, "package.json"), `${JSON.stringify(described, null, 2)}\n`);
}

rmSync(out, { recursive: true, force: true });
run("tools/page.ts");
run("node_modules/typescript/bin/tsc", "-p", "tools/package.tsconfig.json");
renameWorkers();
copyFiles();
describe();
console.log("build/package is complete; npm pack ./build/package packs it.");
