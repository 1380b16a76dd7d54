import * as assert from "uvu/assert";
import { visible, visibleJson, visibleLines } from "../../../src/lib/visible.js";
import { suite } from "../../support/suite.js";

const test = suite("untrusted text on a terminal");

test("control and format characters are shown as escapes, and all other text stays as it is", () => {
  assert.is(visible("a\u001b[2J\u0007b\u0000\u007f\u009b"), "a\\u001b[2J\\u0007b\\u0000\\u007f\\u009b");
  assert.is(visible("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  assert.is(visible("\u2028\u2029\u202e\u2066\u200e\u200f\ufeff"), "\\u2028\\u2029\\u202e\\u2066\\u200e\\u200f\\ufeff");
  assert.is(visible("\u{e0001}\ud800"), "\\udb40\\udc01\\ud800");
  assert.is(visible('Größe "日本" \\ 😀'), 'Größe "日本" \\ 😀');
});

test("with several lines keeps line breaks and tabs, but not carriage returns", () => {
  assert.is(visibleLines("a\n\tb\r\u001b"), "a\n\tb\\u000d\\u001b");
});

test("JSON reads back to the same value", () => {
  let every = "";
  for (let code = 0; code <= 0xffff; code++) every += String.fromCharCode(code);
  const value = { [every]: [every, "\u{e0001}\u{1f600}"] };
  const text = visibleJson(JSON.stringify(value, null, 2));
  assert.equal(JSON.parse(text), value);
  assert.not.match(text, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
});

test.run();
