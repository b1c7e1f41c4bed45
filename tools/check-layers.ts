// Checks who imports whom, by the rules of .dependency-cruiser.mjs. It fails as well if code that
// git lists was not read.
import { fileURLToPath } from "node:url";
import { checkDependencies, findUnread, listCode } from "./structure/dependencies.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const listed = listCode(root);
const folders = new Set(listed.map((path) => path.slice(0, path.indexOf("/"))));
const { read, problems } = await checkDependencies(root, [...folders]);

const found = [...findUnread(listed, read), ...problems];
for (const problem of found) console.error(problem);
if (found.length > 0) process.exit(1);
console.log(`${listed.length} files read; every import is allowed.`);
