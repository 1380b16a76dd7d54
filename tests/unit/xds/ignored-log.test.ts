import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { versionOf } from "../../../src/store/version.js";
import { createIgnoredLog } from "../../../src/xds/configuration/ignored-log.js";
import { stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("log lines about policies without effect");

function open() {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) });
  return { note: createIgnoredLog(logger), lines };
}

const policy = stored("TrafficLog", "t");
const ignored = (of: typeof policy, field = "rules[0].conf.backend", reason = "there is none") => [
  { policy: of, field, reason },
];

test("are written once, however many proxies the policy matches", () => {
  const { note, lines } = open();
  for (let proxy = 0; proxy < 10; proxy++) note(ignored(policy));
  assert.is(lines.length, 1);
  for (const part of ["\tWARN\t", '"TrafficLog"', '"t"', '"m"', "rules[0].conf.backend", "there is none"]) {
    assert.ok(lines[0]?.includes(part), `${lines[0]} has ${part}`);
  }
});

test("are written for another field, another reason and a new version of the policy", () => {
  const { note, lines } = open();
  note(ignored(policy));
  note(ignored(policy, "rules[1].conf.backend"));
  note(ignored(policy, "rules[0].conf.backend", "another"));
  note(ignored({ ...policy, version: versionOf(2) }));
  assert.is(lines.length, 4);
  note([]);
  note(ignored(policy));
  assert.is(lines.length, 4);
});

test.run();
