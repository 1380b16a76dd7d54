import type { asn1 as types } from "node-forge";
import asn1 from "node-forge/lib/asn1.js";

/** An element of ASN.1, to be encoded by {@link toDer}. */
export type Element = types.Asn1;

const { Class, Type } = asn1;

/** node-forge represents bytes as a string with one character per byte. */
const binary = (bytes: Buffer): string => bytes.toString("latin1");

const primitive = (type: types.Type, value: string): Element => asn1.create(Class.UNIVERSAL, type, false, value);

export const sequence = (...parts: readonly Element[]): Element =>
  asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...parts]);

export const set = (...parts: readonly Element[]): Element => asn1.create(Class.UNIVERSAL, Type.SET, true, [...parts]);

export const oid = (dotted: string): Element => primitive(Type.OID, asn1.oidToDer(dotted).getBytes());

export const nothing = (): Element => primitive(Type.NULL, "");

export const yes = (): Element => primitive(Type.BOOLEAN, "\xff");

/** An integer in two's complement: a first byte of 0x80 or more makes it negative. */
export const integer = (bytes: Buffer): Element => primitive(Type.INTEGER, binary(bytes));

export const octets = (bytes: Buffer): Element => primitive(Type.OCTETSTRING, binary(bytes));

/** `unused` is the number of bits of the last byte that are not part of the string. */
export const bits = (bytes: Buffer, unused = 0): Element =>
  primitive(Type.BITSTRING, String.fromCharCode(unused) + binary(bytes));

export const utf8 = (text: string): Element => primitive(Type.UTF8, binary(Buffer.from(text)));

/** A time in whole seconds; from 2050 on as GeneralizedTime, with a four-digit year (RFC 5280, 4.1.2.5). */
export const time = (date: Date): Element =>
  date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));

/** A primitive element with an implicit context-specific tag. */
export const tagged = (tag: number, bytes: Buffer): Element =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));

/** An element with an explicit context-specific tag. */
export const explicit = (tag: number, part: Element): Element => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [part]);

const longForm = 0x80;

/**
 * Wraps the DER of one element for use inside another, so that it is encoded once and used often. node-forge writes the
 * value of a primitive element unchanged, so tag and length are stripped here and node-forge adds them again.
 */
export function encoded(der: Buffer): Element {
  const [tag = 0, length = 0] = der;
  const header = 2 + (length & longForm ? length & ~longForm : 0);
  return asn1.create(tag & Class.PRIVATE, tag & ~Class.PRIVATE, false, der.toString("latin1", header));
}

export const toDer = (element: Element): Buffer => Buffer.from(asn1.toDer(element).getBytes(), "latin1");

/**
 * Reads DER.
 * @throws Error for invalid DER
 */
export const fromDer = (der: Buffer): Element => asn1.fromDer(binary(der));

/** The child elements; none for a primitive element. */
export const partsOf = ({ value }: Element): readonly Element[] => (typeof value === "string" ? [] : value);

/** The bytes of a primitive element, without tag and length; empty for any other. */
export const bytesOf = ({ value }: Element): Buffer =>
  typeof value === "string" ? Buffer.from(value, "latin1") : Buffer.alloc(0);

/** Whether an element has this context-specific tag. */
export const isTagged = ({ tagClass, type }: Element, tag: number): boolean =>
  tagClass === Class.CONTEXT_SPECIFIC && Number(type) === tag;

/** Whether an element is this object identifier. */
export const isOid = ({ type, value }: Element, dotted: string): boolean =>
  type === Type.OID && value === asn1.oidToDer(dotted).getBytes();
