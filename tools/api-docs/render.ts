import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { commentOf, headOf } from "./comments.ts";
import type { ProtoPackage } from "./contract.ts";
import { cell, firstSentence, heading, prose, table } from "./markdown.ts";
import { describeEnum, describeMessage } from "./message.ts";
import { signature } from "./types.ts";

const INTRODUCTION = `<!-- Generated from the comments in proto/ by "npm run gen". Edit those, not this file. -->

# The RPC contract

Every service, message and field that goes over the wire. \`npm run gen\` writes this page
from the comments in \`proto/\`: edit those, not this file.

A field that is neither required nor optional has proto3's zero value (0, \`false\`, \`""\`, empty) when
it is not sent. Reserved numbers and names are never used again.`;

/** The whole of docs/api.md. The same contract always gives the same text. */
export function renderApi(packages: readonly ProtoPackage[]): string {
  const sections = [INTRODUCTION, ...overview(packages), ...packages.flatMap(describePackage)];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

function overview(packages: readonly ProtoPackage[]): readonly string[] {
  const rows = packages
    .flatMap(methodsOf)
    .map((method) => [
      `[${method.parent.name}.${method.name}](#${idOf(method)})`,
      signature(method),
      cell(firstSentence(commentOf(method))),
    ]);
  return ["## RPCs", table(["RPC", "Takes → gives", "In short"], rows).join("\n")];
}

function methodsOf({ files }: ProtoPackage): readonly DescMethod[] {
  return files.flatMap((file) => file.services.flatMap((service) => service.methods));
}

function describePackage({ name, files }: ProtoPackage): readonly string[] {
  return [heading(2, `Package \`${name}\``, name), ...files.flatMap(describeFile)];
}

function describeFile(file: DescFile): readonly string[] {
  return [
    `From [\`proto/${file.name}.proto\`](../proto/${file.name}.proto).`,
    prose(headOf(file)),
    ...file.services.flatMap(describeService),
    ...file.messages.flatMap(describeMessage),
    ...file.enums.flatMap(describeEnum),
  ];
}

function describeService(service: DescService): readonly string[] {
  return [
    heading(3, service.name, service.typeName),
    prose(commentOf(service)),
    ...service.methods.flatMap(describeMethod),
  ];
}

function describeMethod(method: DescMethod): readonly string[] {
  const get = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const facts = [
    signature(method),
    `\`/${method.parent.typeName}/${method.name}\``,
    get ? "no side effects: GET over Connect" : "",
    method.deprecated ? "deprecated" : "",
  ];
  return [
    heading(4, method.name, idOf(method)),
    facts.filter((fact) => fact !== "").join(" · "),
    prose(commentOf(method)),
  ];
}

function idOf(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}
