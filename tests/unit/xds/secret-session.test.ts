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

/** A session, and what it told: one text a response, acknowledgement or refusal. */
function open() {
  const nonces: string[] = [];
  const told: string[] = [];
  const list = (resources: readonly EnvoyResource[]) => resources.map(({ version }) => version).join(", ");
  const session = createSecretSession({
    send({ resources, nonce }) {
      nonces.push(nonce);
      told.push(`send ${list(resources)}`);
    },
    acknowledged: (resources) => void told.push(`took ${list(resources)}`),
    refused: (resources, reason) => void told.push(`refused ${list(resources)}: ${reason}`),
  });
  return {
    session,
    nonces,
    offer: (name: string, version: string) => session.offer(secret(name, version)),
    /** Asks for names, written as one text; `nonce` counts responses from the last one, 0, or is a text. */
    ask(names: string, nonce: number | string = "", refusal?: string) {
      const text = typeof nonce === "string" ? nonce : (nonces.at(-1 - nonce) ?? "");
      session.request({ names: names.split(" ").filter((name) => name !== ""), nonce: text, refusal });
    },
    /** What was told since the last look. */
    heard: () => told.splice(0),
  };
}

type Opened = ReturnType<typeof open>;

const cases: readonly (readonly [title: string, play: (stream: Opened) => void, heard: readonly string[]])[] = [
  [
    "what was offered before is sent as soon as it is asked for",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
    },
    ["send ca 1"],
  ],
  [
    "what is asked for before is sent as soon as it is offered",
    ({ offer, ask }) => {
      ask("ca");
      offer("ca", "1");
    },
    ["send ca 1"],
  ],
  [
    "what nobody asked for is not sent",
    ({ offer, ask }) => {
      ask("ca");
      offer("id", "1");
    },
    [],
  ],
  [
    "several names share a response, in the order they were asked for",
    ({ offer, ask }) => {
      offer("ca", "1");
      offer("id", "1");
      ask("id ca id");
    },
    ["send id 1, ca 1"],
  ],
  [
    "an acknowledgement is not answered, and the same content not sent again",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0);
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "took ca 1"],
  ],
  [
    "only what differs is sent",
    ({ offer, ask }) => {
      offer("ca", "1");
      offer("id", "1");
      ask("ca id");
      ask("ca id", 0);
      offer("id", "2");
    },
    ["send ca 1, id 1", "took ca 1, id 1", "send id 2"],
  ],
  [
    "of what is offered while a response is on its way, the newest follows it",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      for (const version of ["2", "3", "4"]) offer("ca", version);
      ask("ca", 0);
    },
    ["send ca 1", "took ca 1", "send ca 4"],
  ],
  [
    "nothing follows when the content is the same again by then",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      offer("ca", "2");
      offer("ca", "1");
      ask("ca", 0);
    },
    ["send ca 1", "took ca 1"],
  ],
  [
    "refused content is not sent again",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "refused ca 1: no"],
  ],
  [
    "after a refusal other content is, and then the first one too: it has changed",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      offer("ca", "2");
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "refused ca 1: no", "send ca 2", "took ca 2", "send ca 1"],
  ],
  [
    "who refuses a change has what it had: that is not sent when it comes back",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0);
      offer("ca", "2");
      ask("ca", 0, "no");
      offer("ca", "1");
    },
    ["send ca 1", "took ca 1", "send ca 2", "refused ca 2: no"],
  ],
  [
    "a stale request counts for nothing, whatever it says",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0);
      offer("ca", "2");
      ask("", 1, "no");
      ask("id", "made up");
      offer("id", "1");
      ask("ca", 0);
      offer("ca", "2");
    },
    ["send ca 1", "took ca 1", "send ca 2", "took ca 2"],
  ],
  [
    "a name more is answered although nothing changed, and only that name",
    ({ offer, ask }) => {
      offer("ca", "1");
      offer("id", "1");
      ask("ca");
      ask("ca id", 0);
    },
    ["send ca 1", "took ca 1", "send id 1"],
  ],
  [
    "a name more while a response is on its way waits for its acknowledgement",
    ({ offer, ask }) => {
      offer("ca", "1");
      offer("id", "1");
      ask("ca");
      ask("ca id");
      ask("ca id", 0);
    },
    ["send ca 1", "took ca 1", "send id 1"],
  ],
  [
    "no names at all end the interest in all",
    ({ offer, ask }) => {
      ask("");
      offer("ca", "1");
      ask("ca");
      ask("", 0);
      offer("ca", "2");
    },
    ["send ca 1", "took ca 1"],
  ],
  [
    "a name that was dropped is answered in full when it is asked for and offered again",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("", 0);
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "took ca 1", "send ca 1"],
  ],
  [
    "also when it was dropped while its response was on its way",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("");
      ask("", 0);
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "took ca 1", "send ca 1"],
  ],
  [
    "also when its response is acknowledged together with the new interest",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("");
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "took ca 1", "send ca 1"],
  ],
  [
    "and when it was refused before",
    ({ offer, ask }) => {
      offer("ca", "1");
      ask("ca");
      ask("ca", 0, "no");
      ask("", 0);
      ask("ca", 0);
      offer("ca", "1");
    },
    ["send ca 1", "refused ca 1: no", "send ca 1"],
  ],
  [
    "what was offered under a name that was dropped is out of date, and is never sent",
    ({ offer, ask }) => {
      offer("id", "1");
      ask("id");
      ask("", 0);
      ask("id", 0);
    },
    ["send id 1", "took id 1"],
  ],
];

for (const [title, play, heard] of cases) {
  test(title, () => {
    const stream = open();
    play(stream);
    assert.equal(stream.heard(), heard);
  });
}

test("what the client took last is known by name, refusals change nothing in it", () => {
  const { session, offer, ask } = open();
  offer("ca", "1");
  ask("ca");
  assert.is(session.taken("ca"), undefined);
  ask("ca", 0);
  assert.is(session.taken("ca"), "ca 1");
  offer("ca", "2");
  assert.is(session.taken("ca"), "ca 1");
  ask("ca", 0, "no");
  assert.is(session.taken("ca"), "ca 1");
  assert.equal([...session.names], ["ca"]);
  ask("id", 0);
  ask("ca id", 0);
  assert.is(session.taken("ca"), undefined, "asked for anew, it has not been taken yet");
});

test("nonces never repeat, though content does", () => {
  const { offer, ask, nonces } = open();
  ask("ca");
  for (let index = 0; index < 20; index++) {
    offer("ca", String(index % 2));
    ask("ca", 0);
  }
  assert.is(nonces.length, 20);
  assert.is(new Set(nonces).size, 20);
});

test("in every order of offers, requests, answers and refusals a client ends with the newest of what it asks for", () => {
  const names = ["a", "b", "c"];
  for (let run = 0; run < 3000; run++) {
    const random = seeded(runSeed + run);
    const place = `TEST_SEED=${runSeed}, run ${run}`;
    const present = new Map(names.map((name) => [name, secret(name, "0")]));
    const nonces = new Set<string>();
    const inbox: { readonly resources: readonly EnvoyResource[]; readonly nonce: string }[] = [];
    /** What the client wants, and what of it the server has heard. */
    let wanted = new Set<string>();
    let asked = new Set<string>();
    const has = new Map<string, string>();
    const refused = new Map<string, string>();
    /** Asked for anew: the one case in which the same may come twice. */
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
      // The server ignores what was written before the client saw its last response.
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
      // Whoever offers does so again when a name is asked for.
      for (const name of session.names) session.offer(present.get(name) as EnvoyResource);
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
        session.offer(changed);
      } else if (action < 0.8) handle(random.chance(0.2));
      else {
        // While a response is unseen, the server may never hear of a name that is dropped and wanted again.
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
      assert.is(session.taken(name), has.get(name), place);
    }
  }
});

test.run();
