import * as assert from "uvu/assert";
import { type Claimant, createSecretAgreement } from "../../../src/xds/secrets/agreement.js";
import { suite } from "../../support/suite.js";

const test = suite("secret streams that claim to be the same proxy");

const proxy = { mesh: "default", name: "redis-1" };
const at = new Date("2026-01-01T00:00:00Z");
const later = new Date("2026-01-02T00:00:00Z");

const stream = (version: string | undefined, proved = true, notAfter?: Date): Claimant => ({
  trusted: { version },
  proved: () => proved,
  identity: notAfter && { services: [], certificateChain: "", privateKey: "", serial: "", notBefore: at, notAfter },
});

/** The reports about a proxy with these streams, which the test changes. */
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

test("a single stream counts for the proxy, with or without a token", () => {
  const { become, acknowledged, heard } = open();
  become(stream("new", false));
  acknowledged("new");
  assert.equal(heard(), ["trusts new"]);
});

test("a stream without a token neither counts for a proxy that has a stream with one, nor delays it", () => {
  const { become, acknowledged, heard } = open();
  become(stream("old"), stream("new", false));
  acknowledged("new");
  assert.equal(heard(), ["trusts old"], "which is what its own stream trusts");
  become(stream("new"), stream(undefined, false));
  acknowledged("new");
  assert.equal(heard(), ["trusts new"]);
});

test("two streams with tokens must agree: the later acknowledgement counts, or the close of the stale stream", () => {
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

test("a refusal is reported for a proxy without a certificate, but not for one that has it on another stream", () => {
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
