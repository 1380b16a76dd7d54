import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { catalogueDocument } from "../../../src/cp/catalogue.js";
import { exposureWarning } from "../../../src/cp/exposure.js";
import { limitsMarkdown } from "../../../src/cp/limits-page.js";
import { readSettings, type Settings, settingKeys, settingsDocument, table } from "../../../src/cp/settings.js";
import { exampleYaml, settingsMarkdown, settingsTable, settingsYaml } from "../../../src/cp/settings-pages.js";
import { suite } from "../../support/suite.js";

const test = suite("the settings of kuma-cp");

const file = (text: string) => ({ path: "cp.yaml", text });
const defaults = readSettings(undefined, {}).settings;

function refusal(text: string, env: Record<string, string> = {}): string {
  try {
    readSettings(file(text), env);
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
}

test("come from the defaults, the file and the environment, in order of precedence", () => {
  const read = readSettings(file("apiServer: {port: 1, interface: 127.0.0.1}"), { KUMA_API_SERVER_PORT: "2" });
  assert.equal(
    [read.settings.apiPort, read.settings.apiInterface, read.settings.bootstrapPort],
    [2, "127.0.0.1", 5682],
  );
  const { apiPort, apiInterface, bootstrapPort } = read.origins;
  assert.equal([apiPort, apiInterface, bootstrapPort], ["env KUMA_API_SERVER_PORT", "file", "default"]);
});

test("are rejected together, each by the name under which it was set", () => {
  const message = refusal("apiserver: {}\nbootstrapServer: {port: x}", { KUMA_API_SERVER_READ_ONLY: "maybe" });
  assert.match(message, /^Invalid configuration: /);
  assert.match(message, /unknown key apiserver; did you mean apiServer\?/);
  assert.match(message, /bootstrapServer\.port is "x"/);
  assert.match(message, /KUMA_API_SERVER_READ_ONLY is "maybe", but has to be true or false/);
});

test("list the accepted values in errors", () => {
  assert.match(refusal("", { KUMA_STORE_TYPE: "bogus" }), /Type should be either memory, postgres or kubernetes$/m);
  assert.match(
    refusal("", { KUMA_ENVIRONMENT: "mars" }),
    /KUMA_ENVIRONMENT is "mars", but has to be .*universal.*kubernetes/,
  );
  assert.match(refusal("", { KUMA_API_SERVER_INTERFACE: "eth0" }), /has to be an IP address/);
  assert.match(
    refusal("", { KUMA_API_SERVER_AUTHN_TYPE: "token" }),
    /KUMA_API_SERVER_AUTHN_TYPE .*"token".*localhost.*none/,
  );
  assert.match(refusal("", { KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ACCESS_LOG_PATH: "" }), /is empty/);
  assert.match(refusal("", { KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL: "0s" }), /has to be a duration/);
  assert.match(refusal("", { KUMA_DEFAULTS_MESH: "mtls: 1" }), /KUMA_DEFAULTS_MESH has to be a Mesh in YAML/);
  assert.match(refusal("a: [", {}), /^Failed to parse configuration file "cp\.yaml"/);
  assert.match(refusal("- a"), /has to be a map/);
});

test("of certificates and tokens list the accepted values in errors", () => {
  assert.match(refusal("", { KUMA_CA_BUILTIN_KEY_TYPE: "rsa" }), /one of ecdsa-p256, rsa-2048/);
  assert.match(refusal("ca: {builtin: {workloadCertValidity: 0s}}"), /ca\.builtin\.workloadCertValidity is "0s"/);
  assert.match(refusal("ca: {provided: {}}"), /unknown key ca\.provided/);
  const ca = readSettings(file("ca: {builtin: {keyType: rsa-2048, workloadCertValidity: 90m}}"), {}).settings;
  assert.equal([ca.caKeyType, ca.workloadCertValidity], ["rsa-2048", 5_400_000]);
  assert.is(defaults.workloadCertValidity, 30 * 24 * 3_600_000);
});

test("that require each other are rejected alone", () => {
  const sds = /KUMA_SDS_SERVER_TLS_CERT_FILE and KUMA_SDS_SERVER_TLS_KEY_FILE have to be given together/;
  assert.match(refusal("", { KUMA_SDS_SERVER_TLS_CERT_FILE: "/cert" }), sds);
  assert.match(refusal("sdsServer: {tlsKeyFile: /key}"), sds);
  assert.is(refusal("sdsServer: {tlsCertFile: /cert, tlsKeyFile: /key}"), "accepted");
});

test("of a public token server are required if it is enabled", () => {
  const prefix = "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_";
  const complete: Record<string, string> = {
    [`${prefix}INTERFACE`]: "192.0.2.1",
    [`${prefix}TLS_CERT_FILE`]: "/cert",
    [`${prefix}TLS_KEY_FILE`]: "/key",
    [`${prefix}CLIENT_CERTS_DIR`]: "/clients",
  };
  const enabled = { [`${prefix}ENABLED`]: "true" };
  assert.is(refusal("", complete), "accepted");
  assert.is(refusal("", { ...complete, ...enabled }), "accepted");
  const nothing = refusal("", enabled);
  for (const name of Object.keys(complete)) {
    const expected = new RegExp(`${name} is empty, but has to be .*, because ${prefix}ENABLED is true`);
    assert.match(nothing, expected);
    assert.match(refusal("", { ...complete, ...enabled, [name]: "" }), expected);
  }
  const alone = { ...complete, ...enabled, KUMA_DATAPLANE_TOKEN_SERVER_ENABLED: "false" };
  assert.match(refusal("", alone), /KUMA_DATAPLANE_TOKEN_SERVER_ENABLED has to be true, because/);
});

test("include one variable of Kuma's admin server, and the others still have no effect", () => {
  const env = { KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED: "false", KUMA_ADMIN_SERVER_LOCAL_PORT: "1" };
  const read = readSettings(undefined, env);
  assert.is(read.settings.tokenServerEnabled, false);
  assert.is(read.origins.tokenServerEnabled, "env KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED");
  assert.equal(read.warnings, ["KUMA_ADMIN_SERVER_LOCAL_PORT has no effect: there is no admin server"]);
  const both = { ...env, KUMA_DATAPLANE_TOKEN_SERVER_ENABLED: "true" };
  assert.is(readSettings(undefined, both).settings.tokenServerEnabled, true);
});

test("of the database are checked if it is used, and accept the names in Kuma's files and in PostgreSQL", () => {
  const use = { KUMA_STORE_TYPE: "postgres" };
  assert.is(readSettings(undefined, use).settings.postgresPort, 15432);
  const wrong = {
    ...use,
    KUMA_STORE_POSTGRES_HOST: "",
    KUMA_STORE_POSTGRES_USER: "",
    KUMA_STORE_POSTGRES_PASSWORD: "",
    KUMA_STORE_POSTGRES_DB_NAME: "",
    KUMA_STORE_POSTGRES_TLS_MODE: "verifyFull",
    KUMA_STORE_POSTGRES_TLS_CERT_PATH: "/c",
  };
  const message = refusal("", wrong);
  for (const name of ["HOST", "USER", "PASSWORD", "DB_NAME"])
    assert.match(message, `KUMA_STORE_POSTGRES_${name} is empty`);
  assert.match(message, /TLS_CA_PATH is empty.* because KUMA_STORE_POSTGRES_TLS_MODE is verifyFull/);
  assert.match(message, /TLS_CERT_PATH and KUMA_STORE_POSTGRES_TLS_KEY_PATH have to be given together/);
  assert.is(refusal("", { ...wrong, KUMA_STORE_TYPE: "memory" }), "accepted");
  assert.match(refusal("", { KUMA_STORE_POSTGRES_TLS_MODE: "verifyfull" }), /did you mean verifyFull/);
  assert.match(refusal("", { KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT: "5s" }), /a whole number/);
  for (const [name, mode] of [
    ["require", "verifyNone"],
    ["verify-ca", "verifyCa"],
    ["verify-full", "verifyFull"],
  ]) {
    const env = { ...use, KUMA_STORE_POSTGRES_TLS_MODE: name, KUMA_STORE_POSTGRES_TLS_ROOT_CERT_PATH: "/ca" };
    const { settings } = readSettings(undefined, env);
    assert.equal([settings.postgresTlsMode, settings.postgresTlsCaPath], [mode, "/ca"]);
  }
});

test("of the database without its store cause a warning", () => {
  const { warnings } = readSettings(undefined, { KUMA_STORE_POSTGRES_HOST: "db" });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /KUMA_STORE_POSTGRES_HOST without effect: KUMA_STORE_TYPE is memory, not postgres/);
});

test("never show the password of the database", () => {
  const read = readSettings(undefined, { KUMA_STORE_TYPE: "postgres", KUMA_STORE_POSTGRES_PASSWORD: "hunter2" });
  for (const shown of [JSON.stringify(settingsDocument(read.settings)), settingsTable(read), settingsYaml(read)]) {
    assert.not.match(shown, "hunter2");
  }
});

test("accept the initial Mesh of a new installation", () => {
  const mesh = { KUMA_DEFAULTS_MESH: "type: Mesh\nname: ignored\nmtls: {enabled: true}" };
  assert.equal(readSettings(undefined, mesh).settings.defaultMesh, { mtls: { enabled: true, ca: { builtin: {} } } });
});

test("that have no effect cause warnings, and so do unknown variables", () => {
  const env = { KUMA_GUI_SERVER_PORT: "5683", KUMA_REPORTS_ENABLED: "true", KUMA_API_SERVR_PORT: "1", PATH: "/bin" };
  const { warnings } = readSettings(file("adminServer: {local: {port: 1}}"), env);
  assert.is(warnings.length, 4);
  assert.match(warnings[0] ?? "", /^adminServer has no effect/);
  assert.match(warnings[1] ?? "", /^KUMA_GUI_SERVER_PORT has no effect: there is no GUI server/);
  assert.match(warnings[2] ?? "", /^KUMA_REPORTS_ENABLED has no effect/);
  assert.match(warnings[3] ?? "", /KUMA_API_SERVR_PORT .* did you mean KUMA_API_SERVER_PORT/);
});

/** What Kubernetes mode can't do without. */
const onKubernetes = {
  KUMA_STORE_TYPE: "kubernetes",
  KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR: "/certs",
  KUMA_SDS_SERVER_TLS_CERT_FILE: "/certs/sds.crt",
  KUMA_SDS_SERVER_TLS_KEY_FILE: "/certs/sds.key",
};

test("of certificates have to be given on Kubernetes", () => {
  const message = refusal("", { KUMA_STORE_TYPE: "kubernetes" });
  for (const name of Object.keys(onKubernetes).slice(1)) {
    assert.match(message, new RegExp(`${name} is empty, but has to be .*, because KUMA_ENVIRONMENT is kubernetes`));
  }
  const odd = { ...onKubernetes, KUMA_KUBERNETES_ADMISSION_SERVER_ADDRESS: "eth0" };
  assert.match(refusal("", odd), /KUMA_KUBERNETES_ADMISSION_SERVER_ADDRESS is "eth0", but has to be an IP address/);
  const named = { ...onKubernetes, KUMA_KUBERNETES_ADMISSION_SERVER_ADDRESS: "::1" };
  assert.is(readSettings(undefined, named).settings.admissionAddress, "::1");
});

test("follow the store: with that of Kubernetes the environment is Kubernetes, where nothing else may be", () => {
  const env = onKubernetes;
  const { settings, warnings } = readSettings(undefined, env);
  assert.is(settings.environment, "kubernetes");
  assert.equal([settings.apiReadOnly, settings.tokenServerEnabled, warnings], [true, false, []]);
  assert.is(readSettings(undefined, {}).settings.environment, "universal");
  assert.is(readSettings(undefined, { ...env, KUMA_ENVIRONMENT: "kubernetes" }).settings.environment, "kubernetes");
  const pairs = [
    ["universal", "kubernetes"],
    ["kubernetes", "memory"],
    ["kubernetes", "postgres"],
  ] as const;
  for (const [environment, store] of pairs) {
    assert.match(
      refusal("", { KUMA_ENVIRONMENT: environment, KUMA_STORE_TYPE: store }),
      new RegExp(`KUMA_ENVIRONMENT is "${environment}" and KUMA_STORE_TYPE is "${store}": .*store has to be`),
    );
  }
  assert.match(refusal("environment: kubernetes"), /KUMA_STORE_TYPE is "memory": .* has to be "kubernetes"/);
});

test("of the token server and of writes have no effect on Kubernetes, which a warning says", () => {
  const { settings, warnings } = readSettings(undefined, {
    ...onKubernetes,
    KUMA_API_SERVER_READ_ONLY: "false",
    KUMA_DATAPLANE_TOKEN_SERVER_ENABLED: "true",
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_ENABLED: "true",
  });
  assert.equal([settings.apiReadOnly, settings.tokenServerEnabled, settings.tokenPublicEnabled], [true, false, false]);
  assert.is(warnings.length, 3);
  assert.match(warnings[0] ?? "", /^KUMA_API_SERVER_READ_ONLY has no effect: on Kubernetes .*kubectl/);
});

test("name the system namespace, which can't be empty", () => {
  const env = onKubernetes;
  assert.is(readSettings(undefined, env).settings.kubernetesSystemNamespace, "kuma-system");
  for (const wrong of ["", "Kuma_System", "a.b"]) {
    assert.match(
      refusal("", { ...env, KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE: wrong }),
      /KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE is .*, but has to be the name of a namespace/,
    );
  }
});

test("are all in the example file, with their defaults, and it reads back as them", () => {
  const { settings, origins, warnings } = readSettings(file(exampleYaml(defaults)), {});
  assert.equal(settings, defaults);
  assert.equal(new Set(Object.values(origins)), new Set(["file"]));
  assert.equal(warnings, []);
  for (const key of settingKeys) assert.ok(exampleYaml(defaults).includes(`# ${table[key].sentence}\n`), key);
});

test("are shown as YAML that reads back the same", () => {
  const read = readSettings(file("apiServer: {port: 0, corsAllowedDomains: [a, b]}"), {});
  assert.match(refusal(settingsYaml(read)), /store\.postgres\.password has a value that can't be used/);
  const again = readSettings(file(settingsYaml(read).replace("'*****'", "kuma")), {});
  assert.equal(again.settings, read.settings);
  assert.equal(load(settingsYaml(read)), settingsDocument(read.settings));
});

test("are shown in a table with the origin of each", () => {
  const rows = settingsTable(readSettings(undefined, { KUMA_API_SERVER_PORT: "7" }))
    .trimEnd()
    .split("\n");
  assert.is(rows.length, settingKeys.length + 1);
  assert.match(rows[0] ?? "", /^SETTING +VARIABLE +VALUE +FROM$/);
  const port = rows.find((row) => row.startsWith("apiServer.port "));
  assert.match(port ?? "", /KUMA_API_SERVER_PORT +7 +env KUMA_API_SERVER_PORT$/);
});

test("are the same in the README as in the program", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const [, written] = /<!-- settings -->\n([\s\S]*?)<!-- \/settings -->/.exec(readme) ?? [];
  assert.is(written?.trim(), settingsMarkdown(defaults).trim(), "run: node --import tsx scripts/settings-table.ts");
});

test("and limits are the same in the README as in the program", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const [, written] = /<!-- limits -->\n([\s\S]*?)<!-- \/limits -->/.exec(readme) ?? [];
  assert.is(written?.trim(), limitsMarkdown().trim(), "run: node --import tsx scripts/settings-table.ts");
});

test("have paths and variables of their own", () => {
  const rows = Object.values(table);
  for (const names of [rows.map(({ path }) => path), rows.flatMap(({ env }) => env)])
    assert.equal(names, [...new Set(names)]);
});

test("never show a secret", () => {
  const secret = { ...table.xdsHost, secret: true };
  const document = settingsDocument({ ...defaults, xdsHost: "hunter2" } as Settings, { ...table, xdsHost: secret });
  assert.not.match(JSON.stringify(document), /hunter2/);
  assert.match(JSON.stringify(document), /"xdsHost":"\*\*\*\*\*"/);
});

test("that accept changes from everyone cause a warning that explains the consequences", () => {
  assert.is(exposureWarning({ apiAuthnType: "localhost", apiInterface: "0.0.0.0" }), undefined);
  const warning = exposureWarning({ apiAuthnType: "none", apiInterface: "127.0.0.1" }) ?? "";
  assert.match(warning, /KUMA_API_SERVER_AUTHN_TYPE is none: .*run programs on every sidecar's host/);
});

test("normalize an advertised host, and remove the brackets of an IPv6 address", () => {
  const of = (host: string) =>
    readSettings(undefined, { KUMA_GENERAL_ADVERTISED_HOSTNAME: host, KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST: host })
      .settings;
  for (const [host, read] of [
    ["::1", "::1"],
    ["[fd00::1]", "fd00::1"],
    ["cp.example", "cp.example"],
  ] as const) {
    assert.equal([of(host).advertisedHostname, of(host).xdsHost], [read, read]);
  }
  for (const host of ["http://cp", "cp:5678", "[::1]:5678", "0.0.0.0", "::"]) {
    assert.match(
      refusal("", { KUMA_GENERAL_ADVERTISED_HOSTNAME: host }),
      /KUMA_GENERAL_ADVERTISED_HOSTNAME is .* has to be a host/,
    );
    assert.match(refusal("", { KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST: host }), /XDS_HOST is .* has to be a host/);
  }
  const { apis } = catalogueDocument({
    advertisedHostname: "fd00::1",
    bootstrapPort: 5682,
    localTokenPort: undefined,
    publicTokenPort: 5684,
  });
  assert.is(apis.bootstrap.url, "http://[fd00::1]:5682");
  assert.is(apis.dataplaneToken.publicUrl, "https://[fd00::1]:5684");
});

test("a PostgreSQL host may be a directory of sockets, and no other path", () => {
  const env = (host: string) => ({ KUMA_STORE_TYPE: "postgres", KUMA_STORE_POSTGRES_HOST: host });
  assert.is(readSettings(undefined, env("/var/run/postgresql")).settings.postgresHost, "/var/run/postgresql");
  assert.match(
    refusal("", env("run/postgresql")),
    /KUMA_STORE_POSTGRES_HOST is "run\/postgresql", but has to be .* absolute path/,
  );
  assert.match(refusal("", env(`/${"d".repeat(100)}`)), /more than 107 bytes/);
});

test.run();
