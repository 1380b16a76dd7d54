import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

/** A field's JSON name, as protobuf derives it. */
export const jsonName = (name: string): string =>
  name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The end of the name in a serialised FileDescriptorProto, and the tag of field 2, the package. */
const nameEnd = new TextEncoder().encode(".proto\x12");
const longestName = 127;
/** Field numbers that a FileDescriptorProto has. */
const lastField = 14;

interface Varint {
  readonly value: number;
  readonly next: number;
}

function varint(bytes: Uint8Array, start: number): Varint | undefined {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[start + shift / 7];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: start + shift / 7 + 1 };
  }
  return undefined;
}

/**
 * The end of the message that begins at `start`: the first byte that can't belong to it, such as the zero byte of a C
 * string. Undefined when the bytes end first.
 */
function endOf(bytes: Uint8Array, start: number): number | undefined {
  let position = start;
  for (;;) {
    const tag = varint(bytes, position);
    if (tag === undefined) return undefined;
    const [field, type] = [tag.value >>> 3, tag.value & 7];
    // The name occurs once, as the first field.
    if (field < 1 || field > lastField || (field === 1 && position !== start)) return position;
    if (type !== 0 && type !== 2) return position;
    const value = varint(bytes, tag.next);
    if (value === undefined) return undefined;
    position = type === 0 ? value.next : value.next + value.value;
    if (position >= bytes.length) return undefined;
  }
}

/** The start of the message whose name ends at `end`; undefined when those bytes are not a length-prefixed name. */
function startOf(bytes: Uint8Array, end: number): number | undefined {
  for (let length = ".proto".length; length <= longestName; length++) {
    const start = end - length - 2;
    if (bytes[start] === 0x0a && bytes[start + 1] === length) return start;
    // Names are printable; the two bytes before a name are not both printable.
    const first = bytes[end - length] ?? 0;
    if (first <= 0x20 || first > 0x7e) return undefined;
  }
  return undefined;
}

/** Generated C++ code omits the JSON names of fields, since they can be derived. */
function nameInJson({ messageType, extension }: FileDescriptorProto): void {
  const messages: DescriptorProto[] = [...messageType];
  const fields: FieldDescriptorProto[] = [...extension];
  for (const { nestedType, field } of messages) {
    messages.push(...nestedType);
    fields.push(...field);
  }
  for (const field of fields) if (field.jsonName === "") field.jsonName = jsonName(field.name);
}

/**
 * Extracts the .proto files of a C++ program from a piece of its executable: generated code embeds each as a serialised
 * FileDescriptorProto for protobuf's reflection. A file that the end of the piece truncates is left out.
 */
export function descriptorsIn(piece: Buffer): ReadonlyMap<string, FileDescriptorProto> {
  const found = new Map<string, FileDescriptorProto>();
  for (let at = piece.indexOf(nameEnd); at >= 0; at = piece.indexOf(nameEnd, at + 1)) {
    const start = startOf(piece, at + nameEnd.length - 1);
    const end = start === undefined ? undefined : endOf(piece, start);
    if (end === undefined) continue;
    try {
      const file = fromBinary(FileDescriptorProtoSchema, piece.subarray(start, end));
      nameInJson(file);
      found.set(file.name, file);
    } catch {
      // A false match: the bytes only look like the beginning of a descriptor.
    }
  }
  return found;
}

/**
 * Those of the files that `wanted` holds of and all that they import, in an order in which each follows its imports.
 */
export function closureOf(
  files: ReadonlyMap<string, FileDescriptorProto>,
  wanted: (name: string) => boolean,
): FileDescriptorSet {
  const ordered = new Map<string, FileDescriptorProto>();
  const add = (name: string): void => {
    const file = files.get(name);
    if (file === undefined || ordered.has(name)) return;
    for (const imported of file.dependency) add(imported);
    ordered.set(name, file);
  };
  for (const name of files.keys()) if (wanted(name)) add(name);
  return create(FileDescriptorSetSchema, { file: [...ordered.values()] });
}
