import { isBuiltin } from "node:module";
import { type Import, importsOf } from "./imports.ts";
import {
  type AdapterRoom,
  adapterRooms,
  allowedGenImporters,
  COMPOSITION_ROOT,
  floors,
  topFiles,
} from "./layers.ts";
import { isAt, isForTests, type Problem, problemAt, type Source } from "./source.ts";

type Place = { readonly room: string; readonly floor: number };

/** What code imports against the floors: sideways, up, or from outside the house. */
export function findFloorProblems(sources: readonly Source[]): readonly Problem[] {
  const rooms = sources.filter(({ path }) => path.startsWith("server/") && !isForTests(path));
  return rooms.flatMap((source) => {
    const place = placeOf(source.path);
    if (!place)
      return [`${source.path}: has no place in the table of floors (tools/structure/layers.ts)`];
    return eachImport(source, (taken) => refuseFloor(place, taken));
  });
}

/** What core/ takes from Node or from packages: it does no I/O. */
export function findCoreProblems(sources: readonly Source[]): readonly Problem[] {
  const core = sources.filter(({ path }) => path.startsWith("server/core/") && !isForTests(path));
  return core.flatMap((source) =>
    eachImport(source, ({ specifier }) =>
      isBuiltin(specifier) ? `imports ${specifier}: core/ does no I/O` : undefined,
    ),
  );
}

/** Who imports server/testing/ without being a test. */
export function findTestingProblems(sources: readonly Source[]): readonly Problem[] {
  const users = sources.filter(
    ({ path }) => !isForTests(path) && !isAt(path, ["bench/", "tools/"]),
  );
  return users.flatMap((source) =>
    eachImport(source, ({ path }) =>
      path?.startsWith("server/testing/")
        ? `imports ${path}: testing/ is for tests alone`
        : undefined,
    ),
  );
}

/** Who imports gen/ and may not see the wire's messages. */
export function findGenProblems(sources: readonly Source[]): readonly Problem[] {
  const others = sources.filter(
    ({ path }) => !isForTests(path) && !isAt(path, allowedGenImporters),
  );
  return others.flatMap((source) =>
    eachImport(source, ({ path }) =>
      path?.startsWith("gen/")
        ? `imports ${path}: gen/ is seen by ${allowedGenImporters.join(", ")} and tests`
        : undefined,
    ),
  );
}

/** Who names a concrete adapter beside the file that puts the gateway together. */
export function findAdapterProblems(sources: readonly Source[]): readonly Problem[] {
  const rooms = sources.filter(({ path }) => path.startsWith("server/") && !isForTests(path));
  return rooms
    .filter(({ path }) => path !== COMPOSITION_ROOT)
    .flatMap((source) =>
      eachImport(source, (taken) => {
        const room = adapterRooms.find(({ folder }) => taken.path?.startsWith(folder));
        return room && !source.path.startsWith(room.folder)
          ? refuseAdapter(room, taken)
          : undefined;
      }),
    );
}

function eachImport(
  source: Source,
  refuse: (taken: Import) => string | undefined,
): readonly Problem[] {
  return importsOf(source).flatMap((taken) => {
    const reason = refuse(taken);
    return reason === undefined ? [] : [problemAt(source, taken.start, reason)];
  });
}

function refuseFloor(place: Place, { path }: Import): string | undefined {
  // gen/ and testing/ have rules of their own; package.json holds the version.
  if (path === undefined || /^gen\/|^server\/testing\/|^package\.json$/.test(path))
    return undefined;
  const target = placeOf(path);
  if (!target) return `imports ${path}, which has no place in the table of floors`;
  if (target.room === place.room || target.floor < place.floor) return undefined;
  const direction = target.floor === place.floor ? "sideways" : "up";
  return `imports ${path}: ${direction}, from floor ${place.floor} (${place.room}) to floor ${target.floor} (${target.room})`;
}

function refuseAdapter(
  { contracts, typesAreFree }: AdapterRoom,
  taken: Import,
): string | undefined {
  if (taken.path === undefined || contracts.includes(taken.path)) return undefined;
  if (taken.typeOnly && typesAreFree) return undefined;
  return `imports ${taken.path}: only ${COMPOSITION_ROOT} names concrete adapters`;
}

function placeOf(path: string): Place | undefined {
  const [top, room = "", ...rest] = path.split("/");
  if (top !== "server") return undefined;
  const floor = floors[room];
  if (rest.length > 0 && floor !== undefined) return { room: `${room}/`, floor };
  const order = topFiles.indexOf(room);
  if (rest.length > 0 || order === -1) return undefined;
  return { room, floor: Math.max(...Object.values(floors)) + 1 + order };
}
