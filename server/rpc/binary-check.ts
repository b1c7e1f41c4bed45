import { isAscii, isUtf8 } from "node:buffer";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";

/** The most fields of a message, including nested ones and elements of packed lists. */
export const MAX_FIELDS = 4096;

// Text that is not ASCII takes five times as long to decode. Only a screenshot is longer than this,
// and its base64 is ASCII.
const MAX_FOREIGN_TEXT_BYTES = 1024 * 1024;
const MAX_TEXT_BYTES = 12 * 1024 * 1024;
const MAX_DEPTH = 100;
const VARINT_BYTES = 10;

/** The position of the check, and what it has counted. */
type Cursor = {
  readonly bytes: Uint8Array;
  at: number;
  fields: number;
  textBytes: number;
  foreignTextBytes: number;
};

/** How a field is encoded. */
type Shape = {
  readonly name: string;
  readonly wireType: WireType;
  /** Whether it is a list of numbers, which may come as one length-delimited value. */
  readonly packable: boolean;
  readonly isText: boolean;
  /** The fields of a message or of a map entry. */
  readonly fields?: () => Fields;
};

type Fields = ReadonlyMap<number, Shape>;

/** A message within the bytes or, with `group`, the group that a start tag of that number opened. */
type Scope = {
  readonly fields: Fields;
  readonly end: number;
  readonly depth: number;
  readonly group?: number;
};

/**
 * Checks that bytes are a message in protobuf's binary format that takes a few milliseconds at most
 * to parse. Throws INVALID_ARGUMENT that names the rule. The parser accepts every message that passes.
 */
export function checkBinary(message: DescMessage, bytes: Uint8Array): void {
  const cursor = { bytes, at: 0, fields: 0, textBytes: 0, foreignTextBytes: 0 };
  checkRecords(cursor, { fields: fieldsOf(message), end: bytes.length, depth: 1 });
}

function checkRecords(cursor: Cursor, scope: Scope): void {
  if (scope.depth > MAX_DEPTH) throw malformed("messages are nested too deeply");
  while (cursor.at < scope.end) {
    count(cursor);
    const tag = readTag(cursor, scope.end);
    if (tag.wireType === WireType.EndGroup) {
      if (tag.number !== scope.group) throw malformed("a group ends that did not begin");
      return;
    }
    const shape = scope.fields.get(tag.number);
    if (shape) checkField(cursor, scope, { ...tag, shape });
    else skipRecord(cursor, scope, tag);
  }
  if (scope.group !== undefined) throw malformed("a group does not end");
}

type Tag = { readonly number: number; readonly wireType: number };

function readTag(cursor: Cursor, end: number): Tag {
  const start = cursor.at;
  const tag = readVarint(cursor, end);
  const number = Math.floor(tag / 8);
  if (cursor.at - start > 5 || tag > 0xffff_ffff || number === 0 || tag % 8 > WireType.Bit32) {
    throw malformed("a tag is not valid");
  }
  return { number, wireType: tag % 8 };
}

const noFields: Fields = new Map();

function skipRecord(cursor: Cursor, scope: Scope, { number, wireType }: Tag): void {
  if (wireType === WireType.StartGroup) {
    const depth = scope.depth + 1;
    checkRecords(cursor, { fields: noFields, end: scope.end, depth, group: number });
  } else {
    skipValue(cursor, wireType, scope.end);
  }
}

function skipValue(cursor: Cursor, wireType: number, end: number): void {
  if (wireType === WireType.Varint) readVarint(cursor, end);
  else if (wireType === WireType.LengthDelimited) cursor.at = readEnd(cursor, end);
  else cursor.at += wireType === WireType.Bit64 ? 8 : 4;
  if (cursor.at > end) throw malformed("a field is cut short");
}

function checkField(cursor: Cursor, scope: Scope, record: Tag & { readonly shape: Shape }): void {
  const { shape, wireType, number } = record;
  const depth = scope.depth + 1;
  if (wireType === WireType.LengthDelimited && shape.packable) {
    checkPacked(cursor, readEnd(cursor, scope.end), shape.wireType);
  } else if (wireType !== shape.wireType) {
    // The parser would read it as the field's own type.
    throw malformed(`${shape.name} has the wrong type`);
  } else if (wireType === WireType.LengthDelimited) {
    const end = readEnd(cursor, scope.end);
    if (shape.isText) checkText(cursor, shape.name, cursor.bytes.subarray(cursor.at, end));
    if (shape.fields) checkRecords(cursor, { fields: shape.fields(), end, depth });
    cursor.at = end;
  } else if (shape.fields) {
    checkRecords(cursor, { fields: shape.fields(), end: scope.end, depth, group: number });
  } else {
    skipValue(cursor, wireType, scope.end);
  }
}

function checkPacked(cursor: Cursor, end: number, wireType: WireType): void {
  while (cursor.at < end) {
    count(cursor);
    skipValue(cursor, wireType, end);
  }
}

function checkText(cursor: Cursor, name: string, text: Uint8Array): void {
  cursor.textBytes += text.length;
  if (cursor.textBytes > MAX_TEXT_BYTES) {
    throw malformed(`${name} must be at most ${MAX_TEXT_BYTES} bytes, with all other text`);
  }
  if (isAscii(text)) return;
  cursor.foreignTextBytes += text.length;
  if (cursor.foreignTextBytes > MAX_FOREIGN_TEXT_BYTES) {
    throw malformed(`${name} must be at most ${MAX_FOREIGN_TEXT_BYTES} bytes unless it is ASCII`);
  }
  if (!isUtf8(text)) throw malformed(`${name} must be UTF-8`);
}

function count(cursor: Cursor): void {
  cursor.fields += 1;
  if (cursor.fields > MAX_FIELDS) throw malformed(`it has more than ${MAX_FIELDS} fields`);
}

/** The end of a length-delimited value. */
function readEnd(cursor: Cursor, end: number): number {
  const bytes = readVarint(cursor, end);
  const valueEnd = cursor.at + bytes;
  if (valueEnd > end) throw malformed("a field is cut short");
  return valueEnd;
}

/** Exact up to 2^53, which is more than any tag or length. */
function readVarint(cursor: Cursor, end: number): number {
  let value = 0;
  for (let index = 0; index < VARINT_BYTES && cursor.at < end; index++) {
    const byte = cursor.bytes[cursor.at++] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return value;
  }
  throw malformed("a number is cut short or too long");
}

const knownFields = new WeakMap<DescMessage, Fields>();

function fieldsOf(message: DescMessage): Fields {
  const known = knownFields.get(message);
  if (known) return known;
  const fields = new Map(message.fields.map((field) => [field.number, shapeOf(field)]));
  knownFields.set(message, fields);
  return fields;
}

function shapeOf(field: DescField): Shape {
  const { name, message } = field;
  if (field.fieldKind === "map") {
    const key = scalarShape(name, field.mapKey);
    const value = message ? messageShape(name, message) : scalarShape(name, field.scalar);
    const entry: Fields = new Map([
      [1, key],
      [2, value],
    ]);
    return { ...messageShape(name, undefined), fields: () => entry };
  }
  if (message) {
    const shape = messageShape(name, message);
    return field.delimitedEncoding ? { ...shape, wireType: WireType.StartGroup } : shape;
  }
  const shape = scalarShape(name, field.scalar);
  const isNumber = shape.wireType !== WireType.LengthDelimited;
  return { ...shape, packable: field.fieldKind === "list" && isNumber };
}

function messageShape(name: string, message: DescMessage | undefined): Shape {
  const shape = { name, wireType: WireType.LengthDelimited, packable: false, isText: false };
  return message ? { ...shape, fields: () => fieldsOf(message) } : shape;
}

function scalarShape(name: string, scalar: ScalarType | undefined): Shape {
  const isText = scalar === ScalarType.STRING;
  return { name, wireType: scalarWireType(scalar), packable: false, isText };
}

/** An enum has no scalar type; it is a varint, as most numbers are. */
function scalarWireType(scalar: ScalarType | undefined): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

function malformed(rule: string): ConnectError {
  return new ConnectError(`the message cannot be read: ${rule}`, Code.InvalidArgument);
}
