import * as assert from "uvu/assert";
import { UserError } from "../../../src/lib/errors.js";
import { allowedOrigins } from "../../../src/net/origins.js";
import { suite } from "../../support/suite.js";

const test = suite("origins of other sites");

const refusal = (domain: string) =>
  allowedOrigins([domain], "SETTING").then(
    () => "taken",
    (error: unknown) => (error instanceof UserError ? error.message : String(error)),
  );

test("are allowed literally, dots included, or by a pattern that matches the whole origin", async () => {
  const allowed = await allowedOrigins(
    ["http://ui.example", "https://.*\\.ok\\.example", "http://[::1]:80", "(?i)https://UPPER.example|http://b"],
    "SETTING",
  );
  const good = ["http://ui.example", "https://a.b.ok.example", "http://[::1]:80", "https://upper.example", "http://b"];
  for (const origin of good) assert.ok(allowed(origin), origin);
  const others = ["http://uixexample", "https://a.ok.example.evil", "xhttps://a.ok.example", "null", "", "http://b\n"];
  for (const origin of others) assert.not.ok(allowed(origin), origin);
});

test("longer than any real one are not checked", async () => {
  const allowed = await allowedOrigins([".*"], "SETTING");
  assert.ok(allowed(`http://${"a".repeat(253)}:65535`));
  assert.not.ok(allowed(`http://${"a".repeat(300)}`));
});

test("are rejected with the setting, the value and the reason if they can't be matched in linear time", async () => {
  for (const pattern of [
    "(",
    "(?=a)b",
    "(a)\\1",
    "(?<=a)b",
    "(a{100}){100}",
    "((a{30}){30}b?)",
    "a".repeat(257) + "*",
  ]) {
    const message = await refusal(pattern);
    assert.ok(message.startsWith(`SETTING contains "${pattern.slice(0, 100)}`), message);
    assert.match(message, /https:\/\/ui\.example\.com.*RE2/);
  }
  assert.match(await refusal("(?=a)b"), /neither an origin nor a regular expression \(.*\(\?=/);
  assert.match(await refusal("((a{30}){30}b?)"), /repeats too much/);
});

test("that once hung the control plane are answered", async () => {
  const allowed = await allowedOrigins(["^https?://([a-z0-9]+)*\\.example\\.com$"], "SETTING");
  for (const length of [28, 40, 250]) assert.not.ok(allowed(`http://${"a".repeat(length)}!`));
  assert.ok(allowed("https://ui.example.com"));
});

test.run();
