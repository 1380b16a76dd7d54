import * as assert from "uvu/assert";
import type { EnvoyResource } from "../../../src/envoy/resource.js";
import { createSecretSession } from "../../../src/xds/secrets/session.js";
import { runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("a secret stream's session");

const secret = (name: string, version: string): EnvoyResource => ({
  name,
  version: `${name} ${version}`,
  bytes: new Uint8Array(),
  clusters: [],
  edsName: undefined,
  raw: false,
});

/** A session and its events: one text per response, acknowledgement or rejection. */
function open() {
  const nonces: string[] = [];
  const told: string[] = [];
  const list = (resources: readonly EnvoyResource[]) => resources.map(({ version }) => version).join(", ");
  const session = createSecretSession({
    send({ resources, nonce }) {
      nonces.push(nonce);
      told.push(`send ${list(resources)}`);
    },
    acknowledged: (resources) => void told.push(`ack ${list(resources)}`),
    refused: (resources, reason) => void told.push(`refused ${list(resources)}: ${reason}`),
  });
  return {
    session,
    nonces,
    set: (name: string, version: string) => session.set(secret(name, version)),
    /** Requests names, written as one text; `nonce` counts responses back from the last one, 0, or is a text. */
    ask(names: string, nonce: number | string = "", refusal?: string) {
      const text = typeof nonce === "string" ? nonce : (nonces.at(-1 - nonce) ?? "");
      session.request({ names: names.split(" ").filter((name) => name !== ""), nonce: text, refusal });
    },
    /** The events since the last call. */
    heard: () => told.splice(0),
  };
}

type Opened = ReturnType<typeof open>;

const cases: readonly (readonly [title: string, play: (stream: Opened) => void, heard: readonly string[]])[] = [
  [
    "a secret that was set before is sent as soon as it is requested",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
    },
    ["send ca 1"],
  ],
  [
    "a secret that was requested before is sent as soon as it is set",
    ({ set, ask }) => {
      ask("ca");
      set("ca", "1");
    },
    ["send ca 1"],
  ],
  [
    "a secret that is not requested is not sent",
    ({ set, ask }) => {
      ask("ca");
      set("id", "1");
    },
    [],
  ],
  [
    "several names share a response, in the order of the request",
    ({ set, ask }) => {
      set("ca", "1");
      set("id", "1");
      ask("id ca id");
    },
    ["send id 1, ca 1"],
  ],
  [
    "an acknowledgement gets no response, and the same content is not sent again",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0);
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "ack ca 1"],
  ],
  [
    "only what differs is sent",
    ({ set, ask }) => {
      set("ca", "1");
      set("id", "1");
      ask("ca id");
      ask("ca id", 0);
      set("id", "2");
    },
    ["send ca 1, id 1", "ack ca 1, id 1", "send id 2"],
  ],
  [
    "of versions set while a response is unacknowledged, the newest follows",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      for (const version of ["2", "3", "4"]) set("ca", version);
      ask("ca", 0);
    },
    ["send ca 1", "ack ca 1", "send ca 4"],
  ],
  [
    "nothing follows if the content is the same again by then",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      set("ca", "2");
      set("ca", "1");
      ask("ca", 0);
    },
    ["send ca 1", "ack ca 1"],
  ],
  [
    "refused content is not sent again",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "refused ca 1: no"],
  ],
  [
    "after a rejection another version is sent, and then the first one too: the content has changed",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      set("ca", "2");
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "refused ca 1: no", "send ca 2", "ack ca 2", "send ca 1"],
  ],
  [
    "a client that rejects a change keeps the previous version, which is not sent when it is set again",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0);
      set("ca", "2");
      ask("ca", 0, "no");
      set("ca", "1");
    },
    ["send ca 1", "ack ca 1", "send ca 2", "refused ca 2: no"],
  ],
  [
    "a stale request is ignored",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0);
      set("ca", "2");
      ask("", 1, "no");
      ask("id", "made up");
      set("id", "1");
      ask("ca", 0);
      set("ca", "2");
    },
    ["send ca 1", "ack ca 1", "send ca 2", "ack ca 2"],
  ],
  [
    "an additional name gets a response although nothing changed, with only that name",
    ({ set, ask }) => {
      set("ca", "1");
      set("id", "1");
      ask("ca");
      ask("ca id", 0);
    },
    ["send ca 1", "ack ca 1", "send id 1"],
  ],
  [
    "an additional name while a response is unacknowledged waits for the acknowledgement",
    ({ set, ask }) => {
      set("ca", "1");
      set("id", "1");
      ask("ca");
      ask("ca id");
      ask("ca id", 0);
    },
    ["send ca 1", "ack ca 1", "send id 1"],
  ],
  [
    "an empty list of names unsubscribes from all",
    ({ set, ask }) => {
      ask("");
      set("ca", "1");
      ask("ca");
      ask("", 0);
      set("ca", "2");
    },
    ["send ca 1", "ack ca 1"],
  ],
  [
    "an unsubscribed name is sent again when it is requested and set again",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("", 0);
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "ack ca 1", "send ca 1"],
  ],
  [
    "also if it was unsubscribed while its response was unacknowledged",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("");
      ask("", 0);
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "ack ca 1", "send ca 1"],
  ],
  [
    "also if its response is acknowledged by the request that subscribes again",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("");
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "ack ca 1", "send ca 1"],
  ],
  [
    "and if it was rejected before",
    ({ set, ask }) => {
      set("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      ask("", 0);
      ask("ca", 0);
      set("ca", "1");
    },
    ["send ca 1", "refused ca 1: no", "send ca 1"],
  ],
  [
    "a secret that was set before its name was unsubscribed is stale, and never sent",
    ({ set, ask }) => {
      set("id", "1");
      ask("id");
      ask("", 0);
      ask("id", 0);
    },
    ["send id 1", "ack id 1"],
  ],
];

for (const [title, play, heard] of cases) {
  test(title, () => {
    const stream = open();
    play(stream);
    assert.equal(stream.heard(), heard);
  });
}

test("the last acknowledged version is known by name, and a rejection does not change it", () => {
  const { session, set, ask } = open();
  set("ca", "1");
  ask("ca");
  assert.is(session.acknowledged("ca"), undefined);
  ask("ca", 0);
  assert.is(session.acknowledged("ca"), "ca 1");
  set("ca", "2");
  assert.is(session.acknowledged("ca"), "ca 1");
  ask("ca", 0, "no");
  assert.is(session.acknowledged("ca"), "ca 1");
  assert.equal([...session.names], ["ca"]);
  ask("id", 0);
  ask("ca id", 0);
  assert.is(session.acknowledged("ca"), undefined, "requested again, it has not been acknowledged yet");
});

test("nonces never repeat, even if content does", () => {
  const { set, ask, nonces } = open();
  ask("ca");
  for (let index = 0; index < 20; index++) {
    set("ca", String(index % 2));
    ask("ca", 0);
  }
  assert.is(nonces.length, 20);
  assert.is(new Set(nonces).size, 20);
});

test("with any order of updates, requests, acknowledgements and rejections a client ends with the newest version of what it requests", () => {
  const names = ["a", "b", "c"];
  for (let run = 0; run < 3000; run++) {
    const random = seeded(runSeed + run);
    const place = `TEST_SEED=${runSeed}, run ${run}`;
    const present = new Map(names.map((name) => [name, secret(name, "0")]));
    const nonces = new Set<string>();
    const inbox: { readonly resources: readonly EnvoyResource[]; readonly nonce: string }[] = [];
    /** The names that the client wants, and those that the server has received. */
    let wanted = new Set<string>();
    let asked = new Set<string>();
    const has = new Map<string, string>();
    const refused = new Map<string, string>();
    /** Requested again: the only case in which the same version may be sent twice. */
    const fresh = new Set<string>();
    let nonce = "";

    const session = createSecretSession({
      send(response) {
        assert.is(inbox.length, 0, `one response at a time, ${place}`);
        assert.ok(!nonces.has(response.nonce), `a nonce of its own, ${place}`);
        assert.ok(response.resources.length > 0, place);
        nonces.add(response.nonce);
        inbox.push(response);
        for (const { name, version } of response.resources) {
          assert.ok(asked.has(name), `${name} was asked for, ${place}`);
          assert.is(version, present.get(name)?.version, `${name} is the newest, ${place}`);
          const again = has.get(name) === version || refused.get(name) === version;
          assert.ok(fresh.delete(name) || !again, `${version} comes once, ${place}`);
        }
      },
      acknowledged() {},
      refused() {},
    });

    function request(refusal?: string): void {
      const unseen = inbox.length > 0;
      // The server ignores requests sent before the client received its last response.
      if (!unseen || nonce === "") {
        for (const name of wanted) if (!asked.has(name)) fresh.add(name);
        for (const name of asked) {
          if (wanted.has(name)) continue;
          has.delete(name);
          refused.delete(name);
          fresh.delete(name);
        }
        asked = new Set(wanted);
      }
      session.request({ names: [...wanted], nonce, refusal });
      // The caller sets a secret again when its name is requested.
      for (const name of session.names) session.set(present.get(name) as EnvoyResource);
    }

    function handle(refuses: boolean): void {
      const response = inbox.shift();
      if (response === undefined) return;
      nonce = response.nonce;
      for (const { name, version } of response.resources) {
        if (!wanted.has(name) || !asked.has(name)) continue;
        if (refuses) refused.set(name, version);
        else {
          has.set(name, version);
          refused.delete(name);
        }
      }
      request(refuses ? "no" : undefined);
    }

    for (let step = 0; step < 40; step++) {
      const action = random.next();
      if (action < 0.4) {
        const changed = secret(random.pick(names), String(random.below(3)));
        present.set(changed.name, changed);
        session.set(changed);
      } else if (action < 0.8) handle(random.chance(0.2));
      else {
        // While a response is not received, the server may miss that a name was unsubscribed and requested again.
        const settled = inbox.length === 0 || nonce === "";
        wanted = new Set(names.filter((name) => random.chance(0.5) || (!settled && wanted.has(name))));
        request();
      }
    }
    for (let steps = 0; inbox.length > 0; steps++) {
      assert.ok(steps < 10, `it comes to rest, ${place}`);
      handle(false);
    }
    for (const name of wanted) {
      const { version } = present.get(name) as EnvoyResource;
      assert.ok(has.get(name) === version || refused.get(name) === version, `${version} has arrived, ${place}`);
      assert.is(session.acknowledged(name), has.get(name), place);
    }
  }
});

test.run();
