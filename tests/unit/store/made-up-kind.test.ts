import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { startControlPlane } from "../../../src/cp/run.js";
import { readSettings, settingsDocument } from "../../../src/cp/settings.js";
import { exampleYaml, settingsMarkdown, settingsTable, settingsYaml } from "../../../src/cp/settings-pages.js";
import type { StoreKinds } from "../../../src/cp/store-settings.js";
import { createLogger } from "../../../src/lib/logger.js";
import { storeKinds } from "../../../src/store/kinds.js";
import { anyPorts, put } from "../../support/executable.js";
import { opened, sandboxKind } from "../../support/sandbox-store.js";
import { storeContract } from "../../support/store-contract.js";
import { openOn } from "../../support/store-grounds.js";
import { suite } from "../../support/suite.js";

storeContract("a made-up kind whose versions are text", () =>
  openOn(sandboxKind, { environment: async () => ({ KUMA_STORE_SANDBOX_LABEL: "contract" }) }),
);

const test = suite("a new kind of store");

const kinds: StoreKinds = [...storeKinds, sandboxKind];
const env = { ...anyPorts, KUMA_STORE_TYPE: "sandbox", KUMA_STORE_SANDBOX_LABEL: "blue" };

function refusal(wrong: Readonly<Record<string, string>>): string {
  try {
    readSettings(undefined, wrong, kinds);
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
}

test("its name is a value of KUMA_STORE_TYPE, beside the others", () => {
  assert.match(
    refusal({ KUMA_STORE_TYPE: "bogus" }),
    /KUMA_STORE_TYPE is "bogus": Type should be either memory, postgres, kubernetes or sandbox$/,
  );
  assert.is(readSettings(undefined, env, kinds).settings.storeType, "sandbox");
  assert.is(readSettings(undefined, {}, kinds).settings.storeType, "memory");
});

test("its settings are in kuma-cp config, the file that explains every setting, and the README's table", () => {
  const read = readSettings(undefined, env, kinds);
  assert.match(
    settingsTable(read),
    /^store\.sandbox\.label +KUMA_STORE_SANDBOX_LABEL +blue +env KUMA_STORE_SANDBOX_LABEL$/m,
  );
  const { store } = load(settingsYaml(read)) as { store: Record<string, unknown> };
  assert.equal([store.type, store.sandbox], ["sandbox", { label: "blue" }]);
  const defaults = readSettings(undefined, {}, kinds);
  const example = exampleYaml(defaults.settings, defaults.table);
  assert.match(example, /# What the versions .*\n +# Variable: KUMA_STORE_SANDBOX_LABEL\n +label: sand\n/);
  assert.match(example, /# Where resources are kept: memory, postgres, kubernetes or sandbox\.\n/);
  assert.match(settingsMarkdown(defaults.settings, defaults.table), /^\| `store\.sandbox\.label` \|.*\| `sand` \|/m);
});

test("its settings come from the file, are checked together if it is selected, and cause a warning if it is not", () => {
  const file = { path: "cp.yaml", text: "store: {type: sandbox, sandbox: {label: green}}" };
  const read = readSettings(file, {}, kinds);
  assert.equal(settingsDocument(read.settings, read.table).store, {
    ...(settingsDocument(readSettings(undefined, {}, kinds).settings, read.table).store as object),
    type: "sandbox",
    sandbox: { label: "green" },
  });
  assert.match(refusal({ ...env, KUMA_STORE_SANDBOX_LABEL: "" }), /: KUMA_STORE_SANDBOX_LABEL is empty/);
  const { warnings } = readSettings(undefined, { KUMA_STORE_SANDBOX_LABEL: "" }, kinds);
  assert.equal(warnings, ["KUMA_STORE_SANDBOX_LABEL without effect: KUMA_STORE_TYPE is memory, not sandbox"]);
});

test("settings that could belong to another kind are rejected when the table is created", () => {
  const settings = { dbHost: sandboxKind.settings.sandboxLabel };
  const careless = { ...sandboxKind, settings, contradictions: () => [] };
  assert.throws(() => readSettings(undefined, {}, [...storeKinds, careless]), /dbHost of the store "sandbox"/);
});

test("a control plane keeps its resources in it", async () => {
  const logger = createLogger({ name: "kuma-cp", level: "off" });
  const { settings } = readSettings(undefined, env, kinds);
  const cp = await startControlPlane(settings, logger, new AbortController().signal, { stores: kinds });
  try {
    const api = `http://127.0.0.1:${cp.ports.api}`;
    const mesh = { type: "Mesh", name: "m" };
    assert.is(await put(api, "/meshes/m", mesh), 201);
    assert.is(await put(api, "/meshes/m", { ...mesh, mtls: { enabled: true } }), 200);
    const permission = { type: "TrafficPermission", mesh: "m", name: "p", rules: [] };
    assert.is(await put(api, "/meshes/m/traffic-permissions/p", permission), 400);
    const stored = await opened.get("blue")?.get({ type: "Mesh", mesh: "m", name: "m" });
    assert.match(String(stored?.version), /^blue-[0-9a-f]{16}$/);
    const config = (await (await fetch(`${api}/config`)).json()) as { store: Record<string, unknown> };
    assert.equal([config.store.type, config.store.sandbox], ["sandbox", { label: "blue" }]);
    const authorities = await (await fetch(`${api}/certificate-authorities`)).text();
    assert.match(authorities, /"mesh": "m"/);
    const ready = await fetch(`http://127.0.0.1:${cp.ports.health}/ready`);
    assert.is(ready.status, 200);
  } finally {
    await cp.close();
  }
});

test.run();
