import { existsSync } from "node:fs";
import { createFileRegistry, type DescFile, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { runBuf } from "../run-buf.ts";

/** The files of one proto package. */
export type ProtoPackage = {
  /** As in the path of its RPCs: `streaming`. */
  readonly name: string;
  /** At least one, by path. */
  readonly files: readonly DescFile[];
};

/**
 * Reads the contract under `root`/proto, with its comments. Packages are in the order in which they
 * are documented: by name, gRPC's own last. Rejects if a file cannot be compiled.
 */
export async function readContract(root: string): Promise<readonly ProtoPackage[]> {
  const image = fromBinary(FileDescriptorSetSchema, await runBuf(root, ["build", "-o", "-"]));
  const packages = new Map<string, DescFile[]>();
  for (const file of createFileRegistry(image).files) {
    // Imported files, such as google.protobuf.Timestamp, are documented by their owner.
    if (!existsSync(`${root}/proto/${file.name}.proto`)) continue;
    const files = packages.get(file.proto.package) ?? [];
    packages.set(file.proto.package, [...files, file]);
  }
  return [...packages]
    .map(([name, files]) => ({ name, files: files.toSorted((a, b) => compare(a.name, b.name)) }))
    .sort((a, b) => Number(isOfGrpc(a)) - Number(isOfGrpc(b)) || compare(a.name, b.name));
}

function isOfGrpc({ name }: ProtoPackage): boolean {
  return name.startsWith("grpc.");
}

// Not localeCompare: the order must be the same on every machine.
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
