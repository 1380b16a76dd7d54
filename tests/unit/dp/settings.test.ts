import * as assert from "uvu/assert";
import { readSettings } from "../../../src/dp/settings.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp reads its settings");

const read = (flags: Record<string, string>, env: Record<string, string> = {}) => readSettings(flags, env, "/home/me");

function refusal(flags: Record<string, string>, env: Record<string, string> = {}): string {
  try {
    read(flags, env);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("was expected to be refused");
}

test("only the name is required; everything else has its documented default", () => {
  const { settings } = read({ name: "backend-1" });
  const { concurrency, ...others } = settings;
  assert.ok(concurrency === 1 || concurrency === 2);
  assert.equal(others, {
    name: "backend-1",
    mesh: "default",
    controlPlane: { kind: "bootstrap-server", url: "http://localhost:5682" },
    caCertFile: undefined,
    retryBackoff: 3000,
    retryMaxDuration: 300_000,
    adminPort: 0,
    healthPort: 0,
    drainTime: 30_000,
    statusInterval: 60_000,
    binaryPath: "envoy",
    configDir: undefined,
    tokenFile: undefined,
    logDirectories: ["/tmp"],
  });
});

test("a flag overrides the environment, the environment overrides the default", () => {
  const env = { KUMA_DATAPLANE_NAME: "from-env", KUMA_DATAPLANE_MESH: "from-env", KUMA_DATAPLANE_DRAIN_TIME: "1m30s" };
  const { settings } = read({ name: "from-flag" }, env);
  assert.equal([settings.name, settings.mesh, settings.drainTime], ["from-flag", "from-env", 90_000]);
});

test("everything that is wrong is reported together", () => {
  const message = refusal(
    { mesh: "", cpAddress: "localhost:5682", adminPort: "65536" },
    { KUMA_DATAPLANE_DRAIN_TIME: "0s", KUMA_DATAPLANE_HEALTH_PORT: "x", KUMA_DATAPLANE_RUNTIME_BINARY_PATH: "" },
  );
  assert.match(message, /^Invalid configuration: /);
  for (const part of [
    "--name must not be empty",
    "--mesh must not be empty",
    '--cp-address is "localhost:5682"',
    '--admin-port is "65536"',
    'KUMA_DATAPLANE_DRAIN_TIME is "0s"',
    'KUMA_DATAPLANE_HEALTH_PORT is "x"',
    "KUMA_DATAPLANE_RUNTIME_BINARY_PATH must not be empty",
  ]) {
    assert.ok(message.includes(part), `${part} is missing in: ${message}`);
  }
});

test("a name that is set to nothing is refused by its variable's name", () => {
  assert.match(refusal({}, { KUMA_DATAPLANE_NAME: " " }), "KUMA_DATAPLANE_NAME must not be empty");
});

test("the API server's URL is only used without a bootstrap server", () => {
  const env = { KUMA_CONTROL_PLANE_API_SERVER_URL: "http://cp:5681" };
  assert.equal(read({ name: "a" }, env).settings.controlPlane, { kind: "api-server", url: "http://cp:5681" });
  const direct = { kind: "bootstrap-server", url: "http://cp:5682" };
  assert.equal(read({ name: "a", cpAddress: "http://cp:5682" }, env).settings.controlPlane, direct);
  const both = { ...env, KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: "http://cp:5682" };
  assert.equal(read({ name: "a" }, both).settings.controlPlane, direct);
});

test("paths are made absolute, because Envoy runs elsewhere", () => {
  const { settings } = read({
    name: "a",
    configDir: "conf",
    dataplaneTokenFile: "../token",
    caCertFile: "/etc/ca.pem",
  });
  assert.equal(
    [settings.configDir, settings.tokenFile, settings.caCertFile],
    ["/home/me/conf", "/home/token", "/etc/ca.pem"],
  );
});

test("a token file in the place of our own copy is refused, not overwritten", () => {
  assert.match(
    refusal({ name: "a", configDir: "conf", dataplaneTokenFile: "conf/token" }),
    "move it out of --config-dir",
  );
});

test("directories for log files are absolute, few and normalized; an empty list is allowed", () => {
  const named = (text: string) => read({ name: "a" }, { KUMA_DATAPLANE_LOG_DIRECTORIES: text }).settings.logDirectories;
  assert.equal(named("/var/log/app, /tmp"), ["/var/log/app", "/tmp"]);
  assert.equal(named(""), []);
  const refused = (text: string) => refusal({ name: "a" }, { KUMA_DATAPLANE_LOG_DIRECTORIES: text });
  assert.match(refused("/tmp,logs"), 'KUMA_DATAPLANE_LOG_DIRECTORIES: the directory "logs" has to be an absolute path');
  assert.match(refused("/tmp/../etc"), 'the directory "/tmp/../etc" has to be written /etc');
  assert.match(
    refused(Array.from({ length: 17 }, (_, index) => `/${index}`).join()),
    "names 17 directories; the maximum is 16",
  );
});

test("a misspelled variable is reported", () => {
  const { warnings } = read({ name: "a" }, { KUMA_DATAPLANE_MASH: "x" });
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? "", "KUMA_DATAPLANE_MESH");
});

test.run();
