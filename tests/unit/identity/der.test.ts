import * as assert from "uvu/assert";
import { randomSerial, validity } from "../../../src/identity/certificate.js";
import {
  bits,
  bytesOf,
  encoded,
  explicit,
  fromDer,
  integer,
  isOid,
  isTagged,
  nothing,
  octets,
  oid,
  partsOf,
  sequence,
  set,
  tagged,
  time,
  toDer,
  utf8,
  yes,
} from "../../../src/identity/der.js";
import { type KeyUsage, keyUsage, subjectAltName } from "../../../src/identity/extensions.js";
import { suite } from "../../support/suite.js";

const test = suite("DER");

const hex = (element: Parameters<typeof toDer>[0]) => toDer(element).toString("hex");

test("every element has the encoding of X.690", () => {
  assert.is(hex(sequence(integer(Buffer.of(2)))), "3003020102");
  assert.is(hex(set(nothing(), yes())), "310505000101ff");
  assert.is(hex(oid("1.2.840.113549.1.1.11")), "06092a864886f70d01010b");
  assert.is(hex(octets(Buffer.of(0, 128, 255))), "04030080ff");
  assert.is(hex(bits(Buffer.of(0xa0), 5)), "030205a0");
  assert.is(hex(utf8("é")), "0c02c3a9");
  assert.is(hex(tagged(6, Buffer.from("a"))), "860161");
  assert.is(hex(explicit(3, sequence())), "a3023000");
});

test("an encoded element is the same inside another one, for every form of length", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const bytes = Buffer.alloc(length, 0x81);
    for (const element of [octets(bytes), tagged(2, bytes), sequence(octets(bytes)), explicit(3, octets(bytes))]) {
      assert.is(hex(sequence(encoded(toDer(element)))), hex(sequence(element)));
    }
  }
});

test("encoded values are decoded again", () => {
  const [id, value, context] = partsOf(
    fromDer(toDer(sequence(oid("2.5.29.15"), octets(Buffer.of(200)), explicit(3, yes())))),
  );
  assert.ok(id !== undefined && value !== undefined && context !== undefined);
  assert.ok(isOid(id, "2.5.29.15") && !isOid(id, "2.5.29.14") && !isOid(value, "2.5.29.15"));
  assert.equal(bytesOf(value), Buffer.of(200));
  assert.ok(isTagged(context, 3) && !isTagged(context, 2) && !isTagged(value, 4));
  assert.equal([partsOf(value), bytesOf(context)], [[], Buffer.alloc(0)]);
  assert.throws(() => fromDer(Buffer.from("30050102", "hex")));
});

test("times have two digits of the year until 2049 and four from 2050 on, in UTC and whole seconds", () => {
  const text = (iso: string) => {
    const der = toDer(time(new Date(iso)));
    return [der[0], der.subarray(2).toString()];
  };
  assert.equal(text("2026-01-02T03:04:05.999Z"), [23, "260102030405Z"]);
  assert.equal(text("2049-12-31T23:59:59Z"), [23, "491231235959Z"]);
  assert.equal(text("2050-01-01T00:00:00Z"), [24, "20500101000000Z"]);
  assert.equal(text("2051-06-07T08:09:10+02:00"), [24, "20510607060910Z"]);
});

test("a validity begins a minute early and ends on a whole second that is not too late", () => {
  const { notBefore, notAfter } = validity(new Date("2026-01-01T00:00:10.900Z"), 5_000);
  assert.is(notBefore.toISOString(), "2025-12-31T23:59:10.000Z");
  assert.is(notAfter.toISOString(), "2026-01-01T00:00:15.000Z");
});

test("1,000 serial numbers are distinct, positive and of one length", () => {
  const serials = Array.from({ length: 1_000 }, randomSerial);
  assert.is(new Set(serials.map((serial) => serial.toString("hex"))).size, 1_000);
  for (const serial of serials) {
    // The first bit is the sign; a first byte of 0 would be omitted.
    assert.ok(serial.length === 16 && serial.readInt8(0) > 0);
    assert.is(hex(integer(serial)), `0210${serial.toString("hex")}`);
  }
});

test("key usages are bits from the left, without those that are 0 at the end", () => {
  const value = (...usages: KeyUsage[]) => {
    const [, critical, octetString] = partsOf(fromDer(toDer(keyUsage(...usages))));
    assert.ok(critical !== undefined && octetString !== undefined);
    assert.is(hex(critical), "0101ff");
    return bytesOf(octetString);
  };
  assert.is(value("digitalSignature").toString("hex"), "03020780");
  assert.is(value("digitalSignature", "keyEncipherment").toString("hex"), "030205a0");
  assert.is(value("certSign", "crlSign").toString("hex"), "03020106");
});

test("a name outside ASCII is never written as another", () => {
  // The last byte of U+0141 is an A.
  for (const name of [{ uri: "spiffe://m/\u0141" }, { dns: "\u0141" }]) {
    assert.throws(() => subjectAltName([name], { critical: false }), /is not ASCII/);
  }
  assert.throws(() => subjectAltName([{ ip: "300.0.0.1" }], { critical: false }), /is no IP address/);
});

test.run();
