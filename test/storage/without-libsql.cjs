// Preloaded into a process and its threads: libSQL's package for the platform cannot be found.
const Module = require("node:module");

const resolve = Module._resolveFilename;
Module._resolveFilename = function (name, ...rest) {
  if (/^@libsql\/(linux|darwin|win32)-/.test(name)) {
    throw Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND" });
  }
  return resolve.call(this, name, ...rest);
};
