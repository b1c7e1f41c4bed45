import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  ScalarType,
} from "@bufbuild/protobuf";

/** A message's or enum's name without its package: `HealthCheckResponse.ServingStatus`. */
export function nameInPackage(desc: DescMessage | DescEnum): string {
  const prefix = desc.file.proto.package;
  return prefix === "" ? desc.typeName : desc.typeName.slice(prefix.length + 1);
}

/** The name as a link to its section; in code only if it belongs to another project. */
function linkTo(desc: DescMessage | DescEnum): string {
  if (desc.typeName.startsWith("google.protobuf.")) return `\`${desc.typeName}\``;
  return `[${nameInPackage(desc)}](#${desc.typeName})`;
}

/** The type of a field as a reader needs it: `repeated int32`, a link, `map<string, string>`. */
export function fieldType(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalarName(field.scalar);
    case "message":
      return linkTo(field.message);
    case "enum":
      return linkTo(field.enum);
    case "list":
      return `repeated ${elementType(field)}`;
    case "map":
      return `map of ${scalarName(field.mapKey)} to ${elementType(field)}`;
  }
}

/** An RPC's request and response: `[StreamRequest](…) → stream of [StreamResponse](…)`. */
export function signature({ input, output, methodKind }: DescMethod): string {
  const streams = (kind: string) =>
    methodKind === kind || methodKind === "bidi_streaming" ? "stream of " : "";
  return `${streams("client_streaming")}${linkTo(input)} → ${streams("server_streaming")}${linkTo(output)}`;
}

function elementType(field: DescField & { fieldKind: "list" | "map" }): string {
  if (field.message) return linkTo(field.message);
  if (field.enum) return linkTo(field.enum);
  return scalarName(field.scalar);
}

function scalarName(scalar: ScalarType): string {
  return ScalarType[scalar].toLowerCase();
}
