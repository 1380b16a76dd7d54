import * as assert from "uvu/assert";
import { secretsEndpoints } from "../../../src/cp/tokens/secrets.js";
import { renderTemplate, verbatim } from "../../../src/ctl/template.js";
import { createLogger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { serveEndpoints } from "../../../src/net/endpoints.js";
import { startHttpServer } from "../../../src/net/http-server.js";
import { registry } from "../../../src/resources/registry.js";
import type { Store } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";
import { typeNamed } from "../../support/type-named.js";
import { examples } from "../resources/examples.js";
import { type ControlPlane, createHome, startControlPlane } from "./stage.js";

const test = suite("kumactl export");

const home = createHome();
const logger = createLogger({ name: "test", level: "off" });
const token = "t".repeat(43);
const tokenFile = home.file("token", `${token}\n`);
const closing: { close(): Promise<void> }[] = [];

test.after.each(async () => {
  for (const server of closing.splice(0)) await server.close();
});
test.after(() => home.remove());

/** A control plane that gives its secrets to who knows the token. */
async function controlPlane(): Promise<ControlPlane> {
  let store: Store | undefined;
  const guard = createSiteGuard({ allowed: () => false, advertisedHostname: "localhost" });
  const server = await startHttpServer({
    layers: [],
    port: 0,
    host: "127.0.0.1",
    setting: "none",
    handler: (request) => {
      if (store === undefined) throw new Error("too early");
      return serveEndpoints({ endpoints: secretsEndpoints({ store, token, guard, logger }), layers: [] })(request);
    },
    logger,
  });
  const localUrl = `http://127.0.0.1:${server.port}`;
  const cp = await startControlPlane({ catalogue: { apis: { dataplaneToken: { localUrl, publicUrl: "" } } } });
  store = cp.store;
  closing.push(cp, server);
  return cp;
}

const stored = ["Mesh", "Dataplane", "ProxyTemplate", "TrafficPermission", "TrafficLog", "TrafficRoute", "HealthCheck"];

/** What a store holds of the types, without versions, in one order. */
async function contents(store: Store, types: readonly string[] = stored): Promise<string[]> {
  const all = await Promise.all(types.map((type) => store.list(typeNamed(type))));
  return all
    .flat()
    .map(({ type, mesh, name, spec }) => JSON.stringify({ type, mesh, name, spec }))
    .sort();
}

test("prints documents that apply turns into the same resources elsewhere", async () => {
  const [from, to] = [await controlPlane(), await controlPlane()];
  home.pointTo(from.url);
  for (const document of examples.filter(({ type }) => stored.includes(String(type)))) {
    const { code, err } = await home.run(["apply"], { stdin: JSON.stringify(document) });
    assert.is(code, 0, err);
  }
  const odd = "/tmp/{{name}} <% {{{x}}} %>\n--- # ünï: 'x'\n";
  const mesh = { type: "Mesh", name: "odd", logging: { backends: [{ name: "f", file: { path: odd } }] } };
  const made = await home.run(["apply"], { stdin: verbatim(JSON.stringify(mesh)) });
  assert.is(made.code, 0, made.err);
  const exported = await home.run(["export"]);
  assert.equal([exported.code, exported.err], [0, ""]);
  home.pointTo(to.url);
  const applied = await home.run(["apply", "-f", home.file("export.yaml", exported.out)]);
  assert.is(applied.code, 0, applied.err);
  assert.equal(await contents(to.store), await contents(from.store));
  assert.ok((await contents(to.store)).length > 8);
  assert.is((await home.run(["export"])).out, exported.out, "and prints the same there");
});

test("prints meshes before their resources, sorted by name, and no insights", async () => {
  const cp = await controlPlane();
  home.pointTo(cp.url);
  for (const mesh of ["b", "a"]) await cp.store.create({ type: "Mesh", mesh, name: mesh, spec: {} });
  for (const [mesh, name] of [
    ["b", "2"],
    ["a", "2"],
    ["a", "1"],
  ] as const) {
    await cp.store.create({ type: "Dataplane", mesh, name, spec: {} });
  }
  await cp.store.create({ type: "DataplaneInsight", mesh: "a", name: "1", spec: { subscriptions: [{ id: "x" }] } });
  const { out } = await home.run(["export"]);
  const heads = out.split("---\n").map((text) => text.split("\n").slice(0, 3).join(" "));
  assert.equal(
    heads.map((head) => head.replace(/ mtls:.*/, "").trim()),
    [
      "type: Mesh name: a",
      "type: Mesh name: b",
      "type: Mesh name: default",
      "type: Dataplane mesh: a name: '1'",
      "type: Dataplane mesh: a name: '2'",
      "type: Dataplane mesh: b name: '2'",
    ],
  );
});

test("includes secrets with the token, before the meshes they belong to", async () => {
  const [from, to] = [await controlPlane(), await controlPlane()];
  await from.store.create({ type: "Secret", mesh: "", name: "dataplane-token-signing-key", spec: { value: "a2V5" } });
  await from.store.create({ type: "Secret", mesh: "default", name: "builtinca.default", spec: { value: "Y2E=" } });
  home.pointTo(from.url);
  assert.not.match((await home.run(["export"])).out, /Secret|a2V5/);
  const { code, out, err } = await home.run(["export", "--secrets", tokenFile]);
  assert.equal([code, err], [0, ""]);
  assert.ok(out.indexOf("builtinca.default") < out.indexOf("type: Mesh"));

  home.pointTo(to.url);
  const file = home.file("with-secrets.yaml", out);
  const refused = await home.run(["apply", "-f", file]);
  assert.equal([refused.code, refused.out], [1, ""]);
  assert.match(refused.err, /only taken with --secrets/);
  assert.equal(await contents(to.store, ["Secret"]), []);
  const dry = await home.run(["apply", "-f", file, "--secrets", tokenFile, "--dry-run"]);
  assert.match(dry.out, /would write Secret "builtinca.default"/);
  assert.equal(await contents(to.store, ["Secret"]), []);
  const applied = await home.run(["apply", "-f", file, "--secrets", tokenFile]);
  assert.is(applied.code, 0, applied.err);
  assert.match(applied.err, /Secret "dataplane-token-signing-key": .*until they are started again/);
  assert.not.match(applied.err, /builtinca/);
  assert.equal(await contents(to.store, ["Secret"]), await contents(from.store, ["Secret"]));
});

test("says why secrets can't be read", async () => {
  const cp = await controlPlane();
  home.pointTo(cp.url);
  const said = async (file: string) => (await home.run(["export", "--secrets", file])).err;
  assert.match(await said("/missing"), /the secrets are not available: "\/missing" can't be read/);
  assert.match(await said(home.file("empty", "\n")), /is empty/);
  assert.match(await said(home.file("wrong", "guess")), /The secrets token is missing or wrong/);
  const other = await startControlPlane({
    catalogue: { apis: { dataplaneToken: { localUrl: cp.url, publicUrl: "" } } },
  });
  closing.push(other);
  home.pointTo(other.url);
  assert.match(await said(tokenFile), /KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE/);
});

test("a text that looks like a template is printed as one that renders to it", async () => {
  for (const text of [
    "plain",
    "{{a}}",
    "{{{a}}} <% b %>",
    "<<% %>> {{a}}",
    "{{=<% %>=}}\n<%a%>",
    "{{! a }}\n{{> b}}\n",
  ]) {
    const rendered = await renderTemplate(verbatim(text), new Map([["a", "filled in"]]));
    assert.is(rendered.replace(/^# \n/, ""), text);
  }
});

test("every type that users write is exported", () => {
  const written = registry.types.filter(({ access }) => access === "full").map(({ name }) => name);
  assert.equal([...written].sort(), [...stored].sort());
});

test.run();
