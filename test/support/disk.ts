import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A small disk of its own. */
export type Disk = Disposable & {
  readonly path: string;
  /** Fills it to its last byte. Returns what frees it again. */
  fill(): () => void;
  /** Makes it readable only, or writable again. */
  remount(mode: "ro" | "rw"): void;
};

/** True where no disk can be mounted: that takes root. CI is root: there the tests are not left out. */
export const isWithoutDisk = process.getuid?.() !== 0 && process.env["CI"] === undefined;

/** Mounts a disk of a size such as `2m` in a folder. */
export function mountDisk(folder: string, size: string): Disk {
  const path = join(folder, "disk");
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  const filler = join(path, "filler");
  return {
    path,
    fill() {
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 4096)));
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(512));
      } catch {
        // Now it is full.
      }
      return () => rmSync(filler);
    },
    remount: (mode) => void execFileSync("mount", ["-o", `remount,${mode}`, path]),
    [Symbol.dispose]: () => void execFileSync("umount", ["-l", path]),
  };
}
