import * as assert from "uvu/assert";
import { type Claimant, createSecretAgreement } from "../../../src/xds/secrets/agreement.js";
import { suite } from "../../support/suite.js";

const test = suite("secret streams that say they belong to one proxy");

const proxy = { mesh: "default", name: "redis-1" };
const at = new Date("2026-01-01T00:00:00Z");
const later = new Date("2026-01-02T00:00:00Z");

const stream = (version: string | undefined, proved = true, notAfter?: Date): Claimant => ({
  trusted: { version },
  proved: () => proved,
  identity: notAfter && { services: [], certificateChain: "", privateKey: "", serial: "", notBefore: at, notAfter },
});

/** What is told of a proxy with these streams, which the test changes. */
function open() {
  const streams: Claimant[] = [];
  const heard: string[] = [];
  const agreement = createSecretAgreement({
    streamsOf: () => streams,
    observer: {
      certified: () => void heard.push("certified"),
      trusting: (_proxy, version) => void heard.push(`trusts ${version}`),
      refused: (_proxy, reason) => void heard.push(`refused: ${reason}`),
    },
  });
  const observer = agreement.observerOf(() => streams.at(-1));
  return {
    become(...all: Claimant[]) {
      streams.splice(0, streams.length, ...all);
    },
    acknowledged: (version: string) => observer.trusting(proxy, version),
    refused: () => observer.refused(proxy, "no token", at),
    changed: () => agreement.changed(proxy),
    heard: () => heard.splice(0),
  };
}

test("the only stream speaks for the proxy, with or without a token", () => {
  const { become, acknowledged, heard } = open();
  become(stream("new", false));
  acknowledged("new");
  assert.equal(heard(), ["trusts new"]);
});

test("a stream without a token neither speaks for a proxy whose own stream has one, nor keeps it waiting", () => {
  const { become, acknowledged, heard } = open();
  become(stream("old"), stream("new", false));
  acknowledged("new");
  assert.equal(heard(), ["trusts old"], "which is what its own stream trusts");
  become(stream("new"), stream(undefined, false));
  acknowledged("new");
  assert.equal(heard(), ["trusts new"]);
});

test("of two streams with tokens the later acknowledgement counts, or the end of the one that is behind", () => {
  const { become, acknowledged, changed, heard } = open();
  become(stream("old"), stream("new"));
  acknowledged("new");
  assert.equal(heard(), []);
  become(stream("new"));
  changed();
  assert.equal(heard(), ["trusts new"]);
  changed();
  assert.equal(heard(), [], "once");
  become(stream(undefined), stream("new"));
  acknowledged("new");
  become();
  changed();
  assert.equal(heard(), [], "nobody is left to trust anything");
});

test("a refusal is told of a proxy that has no certificate, and not of one that is served on another stream", () => {
  const { become, refused, heard } = open();
  become(stream(undefined, true, later), stream(undefined, false));
  refused();
  assert.equal(heard(), []);
  become(stream(undefined, true, at), stream(undefined, false));
  refused();
  assert.equal(heard(), ["refused: no token"], "the certificate of the other one is dead");
  become(stream(undefined, true, later));
  refused();
  assert.equal(heard(), ["refused: no token"], "its own stream ends because its token has expired");
});

test.run();
