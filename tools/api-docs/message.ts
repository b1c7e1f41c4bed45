import type { DescEnum, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { commentOf, reservedCommentOf } from "./comments.ts";
import { cell, heading, prose, table } from "./markdown.ts";
import { fieldType, nameInPackage } from "./types.ts";

/** The section of a message, followed by those of the types declared inside it. */
export function describeMessage(message: DescMessage): readonly string[] {
  const alone = message.fields.filter((field) => field.oneof === undefined);
  return [
    heading(3, nameInPackage(message), message.typeName),
    prose(commentOf(message)),
    ...fieldTable(alone),
    ...message.oneofs.flatMap(describeOneof),
    message.fields.length === 0 ? "It has no fields." : "",
    ...describeReserved(message),
    ...message.nestedEnums.flatMap(describeEnum),
    ...message.nestedMessages.flatMap(describeMessage),
  ];
}

/** The section of an enum. */
export function describeEnum(desc: DescEnum): readonly string[] {
  const rows = desc.values.map((value) => [
    String(value.number),
    `\`${value.name}\`${value.deprecated ? ", deprecated" : ""}`,
    cell(commentOf(value)),
  ]);
  return [
    heading(3, nameInPackage(desc), desc.typeName),
    prose(commentOf(desc)),
    table(["#", "Value", "Meaning"], rows).join("\n"),
    ...describeReserved(desc),
  ];
}

function describeOneof(oneof: DescOneof): readonly string[] {
  return [`**Oneof \`${oneof.name}\`.** ${prose(commentOf(oneof))}`, ...fieldTable(oneof.fields)];
}

function fieldTable(fields: readonly DescField[]): readonly string[] {
  if (fields.length === 0) return [];
  const rows = fields.map((field) => [
    String(field.number),
    `\`${field.name}\``,
    [fieldType(field), ...traits(field)].join(", "),
    cell(commentOf(field)),
  ]);
  return [table(["#", "Field", "Type", "Meaning"], rows).join("\n")];
}

/** proto3 has no required fields: the word "Required" in the comment marks one. */
function traits(field: DescField): readonly string[] {
  const hasPresence = field.presence === FeatureSet_FieldPresence.EXPLICIT;
  return [
    /(^|\s)Required\b/.test(commentOf(field)) ? "required" : "",
    hasPresence && field.fieldKind === "scalar" && !field.oneof ? "optional" : "",
    field.deprecated ? "deprecated" : "",
  ].filter((trait) => trait !== "");
}

function describeReserved(desc: DescMessage | DescEnum): readonly string[] {
  const numbers = reservedNumbers(desc);
  const names = desc.proto.reservedName.map((name) => `\`${name}\``);
  if (numbers.length + names.length === 0) return [];
  const what = [numbers, names].filter((list) => list.length > 0).map((list) => list.join(", "));
  return [`**Reserved:** ${what.join("; ")}. ${prose(reservedCommentOf(desc))}`.trim()];
}

function reservedNumbers(desc: DescMessage | DescEnum): readonly string[] {
  // descriptor.proto ends a message's range one above the last number, and an enum's at it.
  const beyond = desc.kind === "message" ? 1 : 0;
  return desc.proto.reservedRange.map(({ start, end }) => {
    const last = end - beyond;
    return start === last ? String(start) : `${start}–${last}`;
  });
}
