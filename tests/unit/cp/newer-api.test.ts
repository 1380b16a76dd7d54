import { Map as PersistentMap } from "immutable";
import * as assert from "uvu/assert";
import { createNewerApi } from "../../../src/cp/newer-api.js";
import type { EnvoyApi } from "../../../src/envoy/raw/api.js";
import type { ViewListener } from "../../../src/feed/feed.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { Stored } from "../../../src/store/store.js";
import { type Touched, untouched } from "../../../src/view/apply.js";
import type { View } from "../../../src/view/mesh-view.js";
import { meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { newerApi } from "../../support/newer-api.js";
import { suite } from "../../support/suite.js";

const test = suite("the API of the Envoy beside the control plane, when a template needs it");

const template = (name: string, more: object, version = 1) => {
  const resource = JSON.stringify({ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name, ...more });
  return stored("ProxyTemplate", name, { resources: [{ name: "r", version: "v", resource }] }, version);
};
const plain = template("plain", {});
const demanding = (version = 1) => template("demanding", { ofTomorrow: 1 }, version);

/** A feed of mesh `m`, and an Envoy whose API is available when the test provides it. */
function open(...resources: readonly Stored[]) {
  const stage = build(...resources);
  return { ...stage, started: stage.api.start() };
}

/** As `open`, but nothing is started. */
function build(...resources: readonly Stored[]) {
  const view = (all: readonly Stored[]): View => PersistentMap([["m", meshViewOf(meshRecord(false), ...all)]]);
  let present = view(resources);
  const listeners = new Set<ViewListener>();
  const asked: ((api: EnvoyApi | undefined) => void)[] = [];
  const touched: Touched = { ...untouched(), proxies: new Set(["p"]) };
  const api = createNewerApi({
    feed: {
      view: () => present,
      current: () => true,
      listen(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      close() {},
    },
    envoy: { api: () => new Promise((resolve) => void asked.push(resolve)) },
    logger: createLogger({ name: "test", level: "off" }),
  });
  const heard: Touched[] = [];
  const unlisten = api.feed.listen((_mesh, what) => void heard.push(what));
  return {
    api,
    asked,
    heard,
    touched,
    unlisten,
    ready: () => {
      const mesh = present.get("m");
      return mesh !== undefined && api.ready(mesh);
    },
    change(...now: readonly Stored[]) {
      present = view(now);
      for (const listener of listeners) listener("m", touched);
    },
    /** Answers the oldest request. */
    async answer(given: EnvoyApi | undefined) {
      asked.shift()?.(given);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("nobody is asked as long as our API will do", async () => {
  const { api, started, asked, ready, change } = open(plain);
  await started;
  change(plain, template("other", {}));
  assert.ok(ready());
  assert.is(asked.length, 0);
  assert.is(api.current, undefined);
});

test("before the start nobody is asked, whatever is stored or arrives", () => {
  const { asked, change } = build(demanding());
  change(demanding(2));
  assert.is(asked.length, 0);
});

test("what is stored already is waited for before anything is served", async () => {
  const { api, started, answer, ready } = open(plain, demanding());
  assert.not(ready());
  let settled = false;
  const settling = started.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.not(settled);
  const given = newerApi();
  await answer(given);
  await settling;
  assert.ok(ready());
  assert.is(api.current, given);
});

test("delays the mesh of a new template until it is loaded; then the whole mesh is announced", async () => {
  const { api, answer, ready, change, heard, touched } = open(plain);
  change(plain, demanding());
  assert.equal(heard, [touched], "what touched whom is passed on as it was");
  assert.not(ready());
  await answer(newerApi());
  assert.ok(ready());
  assert.is(api.current?.label, "Envoy 9.9");
  assert.is(heard.length, 2);
  assert.is(heard[1]?.everyone, true);
});

test("without an Envoy the mesh continues without the unreadable resources", async () => {
  const { api, answer, ready, change, heard } = open();
  change(demanding());
  await answer(undefined);
  assert.ok(ready());
  assert.is(api.current, undefined);
  assert.is(heard.length, 2);
});

test("is requested again for a new template, as Envoy may have been replaced, and for no other change", async () => {
  const { answer, asked, ready, change, api } = open();
  const first = demanding();
  change(first);
  await answer(undefined);
  change(first, plain);
  assert.is(asked.length, 0);
  change(demanding(2));
  assert.not(ready());
  await answer(newerApi());
  assert.ok(ready());
  assert.is(api.current?.label, "Envoy 9.9");
});

test("is not announced to a removed listener", async () => {
  const { answer, change, heard, unlisten } = open();
  unlisten();
  change(demanding());
  await answer(newerApi());
  assert.equal(heard, []);
});

test.run();
