import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { defaults, readSettings, table } from "../../../src/injector/settings.js";
import { UserError } from "../../../src/lib/errors.js";
import { exampleYaml, settingsDocument, settingsMarkdown } from "../../../src/lib/settings-pages.js";
import { suite } from "../../support/suite.js";

const test = suite("settings of kuma-injector");

const needed = { KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: "/certs" };
const read = (env: Record<string, string>, text?: string, flags = {}) =>
  readSettings({ file: text === undefined ? undefined : { path: "/i.yaml", text }, env: { ...needed, ...env }, flags });

function refusal(env: Record<string, string>, text?: string): string {
  try {
    read(env, text);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return "none";
}

test("come from flags, the environment and the file, in this order", () => {
  const file = "injector: {nativeSidecar: true, sidecarContainer: {uid: 7, gid: 7}}";
  const { settings, origins } = read({ KUMA_INJECTOR_SIDECAR_CONTAINER_UID: "8" }, file, { nativeSidecar: "false" });
  assert.is(settings.nativeSidecar, false);
  assert.is(settings.injection.sidecar.uid, 8);
  assert.is(settings.injection.sidecar.gid, 7);
  assert.is(origins.nativeSidecar, "flag --native-sidecar");
});

test("take the group by its name in Kuma as well, which is misspelt; the right one wins", () => {
  const [gui, gid] = ["KUMA_INJECTOR_SIDECAR_CONTAINER_GUI", "KUMA_INJECTOR_SIDECAR_CONTAINER_GID"];
  assert.is(read({ [gui]: "9" }).settings.injection.sidecar.gid, 9);
  assert.is(read({ [gui]: "9", [gid]: "10" }).settings.injection.sidecar.gid, 10);
});

test("that are wrong are all named", () => {
  const message = refusal({
    KUMA_INJECTOR_WEBHOOK_SERVER_ADDRESS: "localhost",
    KUMA_INJECTOR_WEBHOOK_SERVER_PORT: "65536",
    KUMA_INJECTOR_CONTROL_PLANE_API_SERVER_URL: "kuma-control-plane:5681",
    KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE: "",
    KUMA_INJECTOR_SIDECAR_CONTAINER_DRAIN_TIME: "0s",
    KUMA_INJECTOR_SIDECAR_CONTAINER_LIVENESS_PROBE_PERIOD_SECONDS: "0",
    KUMA_INJECTOR_SIDECAR_CONTAINER_RESOURCES_LIMITS_MEMORY: "lots",
    KUMA_INJECTOR_NATIVE_SIDECAR: "perhaps",
  });
  for (const problem of [
    'KUMA_INJECTOR_WEBHOOK_SERVER_ADDRESS is "localhost", but has to be an IP address',
    "KUMA_INJECTOR_WEBHOOK_SERVER_PORT is",
    "but has to be an absolute URL such as http://kuma-control-plane.kuma-system:5682",
    "KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE is empty, but has to be an image",
    "KUMA_INJECTOR_SIDECAR_CONTAINER_DRAIN_TIME",
    "KUMA_INJECTOR_SIDECAR_CONTAINER_LIVENESS_PROBE_PERIOD_SECONDS",
    'RESOURCES_LIMITS_MEMORY is "lots", but has to be a Kubernetes quantity such as 50m or 64Mi',
    'KUMA_INJECTOR_NATIVE_SIDECAR is "perhaps", but has to be auto, true or false',
  ]) {
    assert.ok(message.includes(problem), `${message} does not say: ${problem}`);
  }
});

test("that would make the API server refuse every pod are refused", () => {
  const requests = refusal({ KUMA_INJECTOR_SIDECAR_CONTAINER_RESOURCES_REQUESTS_MEMORY: "1Gi" });
  assert.match(requests, "resources.requests.memory is 1Gi, but has to be at most");
  assert.match(refusal({ KUMA_INJECTOR_SIDECAR_CONTAINER_HEALTH_PORT: "15001" }), "has to be another port");
  assert.is(refusal({ KUMA_INJECTOR_SIDECAR_CONTAINER_RESOURCES_REQUESTS_CPU: "1" }), "none");
  assert.match(refusal({}, "injector: {sidecar: {}}"), "unknown key injector.sidecar");
});

test("need a directory with certificates", () => {
  assert.match(
    refusal({ KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: "" }),
    "KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR is empty",
  );
  assert.throws(() => readSettings({ file: undefined, env: {}, flags: {} }), /webHookServer.certDir is missing/);
});

test("are explained by an example file, which has their defaults", () => {
  const example = exampleYaml(table, defaults);
  assert.equal(load(example), settingsDocument(table, defaults));
  const { values } = readSettings({ file: { path: "/i.yaml", text: example }, env: needed, flags: {} });
  assert.equal({ ...values, certDir: "" }, defaults);
});

test("are the same in the README as in the program", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const [, written] = /<!-- injector-settings -->\n([\s\S]*?)<!-- \/injector-settings -->/.exec(readme) ?? [];
  assert.is(
    written?.trim(),
    settingsMarkdown(table, defaults).trim(),
    "run: node --import tsx scripts/settings-table.ts",
  );
});

test.run();
