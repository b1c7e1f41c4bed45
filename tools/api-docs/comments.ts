import type { DescComments, DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import { getComments, getSyntaxComments } from "@bufbuild/protoplugin";

/** A description is documented by the comment above it and the one behind it. */
type Commented = Parameters<typeof getComments>[0];

// Field numbers of google/protobuf/descriptor.proto: the steps of a path to a comment.
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
const MESSAGE_MESSAGE = 3;
const MESSAGE_ENUM = 4;
const MESSAGE_RESERVED = [9, 10];
const ENUM_RESERVED = [4, 5];

/** Its comment in the proto file, without comment marks; "" if there is none. */
export function commentOf(desc: Commented): string {
  return join(getComments(desc));
}

/** The comment at the head of the file, above `syntax`. */
export function headOf(file: DescFile): string {
  return join(getSyntaxComments(file));
}

/** The comments on reserved numbers and names. */
export function reservedCommentOf(desc: DescMessage | DescEnum): string {
  const owner = pathOf(desc);
  const steps = desc.kind === "message" ? MESSAGE_RESERVED : ENUM_RESERVED;
  const paths = steps.map((step) => [...owner, step].join());
  return (desc.file.proto.sourceCodeInfo?.location ?? [])
    .filter((location) => paths.includes(location.path.join()))
    .map((location) => clean(`${location.leadingComments}\n${location.trailingComments}`))
    .filter((comment) => comment !== "")
    .join("\n\n");
}

function pathOf(desc: DescMessage | DescEnum): readonly number[] {
  const { parent, file } = desc;
  if (desc.kind === "message") {
    return parent
      ? [...pathOf(parent), MESSAGE_MESSAGE, parent.proto.nestedType.indexOf(desc.proto)]
      : [FILE_MESSAGE, file.proto.messageType.indexOf(desc.proto)];
  }
  return parent
    ? [...pathOf(parent), MESSAGE_ENUM, parent.proto.enumType.indexOf(desc.proto)]
    : [FILE_ENUM, file.proto.enumType.indexOf(desc.proto)];
}

function join({ leading, trailing }: DescComments): string {
  return clean(`${leading ?? ""}\n\n${trailing ?? ""}`);
}

/** protoc keeps the space after the comment mark; this removes it. */
function clean(comment: string): string {
  return comment
    .replace(/^ /gm, "")
    .replace(/\s+$/gm, (end) => end.replace(/[^\n]/g, ""))
    .trim();
}
