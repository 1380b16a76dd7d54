import * as assert from "uvu/assert";
import { UserError } from "../../../src/lib/errors.js";
import {
  bool,
  durationSetting,
  int,
  ipAddress,
  list,
  oneOf,
  port,
  resolveSettings,
  str,
} from "../../../src/lib/settings.js";
import { suite } from "../../support/suite.js";

const test = suite("settings");

const table = {
  apiPort: {
    path: "apiServer.port",
    env: ["KUMA_API_SERVER_PORT", "KUMA_API_PORT"],
    default: 5681,
    parse: port,
    sentence: "",
  },
  readOnly: {
    path: "apiServer.readOnly",
    env: ["KUMA_API_SERVER_READ_ONLY"],
    default: false,
    parse: bool,
    sentence: "",
  },
  domains: {
    path: "apiServer.corsAllowedDomains",
    env: ["KUMA_CORS"],
    default: [] as readonly string[],
    parse: list,
    sentence: "",
  },
  password: { path: "store.password", env: ["KUMA_PASSWORD"], default: "kuma", parse: str, sentence: "", secret: true },
  storeType: {
    path: "store.type",
    env: ["KUMA_STORE_TYPE"],
    default: "memory",
    parse: oneOf("memory", "postgres"),
    sentence: "",
  },
  flush: { path: "flush", env: ["KUMA_FLUSH"], default: 1000, parse: durationSetting(1), sentence: "" },
  address: { path: "address", env: ["KUMA_ADDRESS"], default: "0.0.0.0", parse: ipAddress, sentence: "" },
  retries: { path: "retries", env: ["KUMA_RETRIES"], default: 3, parse: int(0), sentence: "" },
};

function file(document: unknown) {
  return { path: "/etc/kuma.yaml", document };
}

function refusal(sources: Parameters<typeof resolveSettings>[1]): string {
  try {
    resolveSettings(table, sources);
  } catch (error) {
    assert.instance(error, UserError);
    return error instanceof UserError ? `${error.id}|${error.message}` : "";
  }
  return "accepted";
}

test("flags override the environment, which overrides the file, which overrides defaults", () => {
  const document = { apiServer: { port: 1, readOnly: true }, flush: "2s", address: null };
  const env = { KUMA_API_SERVER_PORT: "2", KUMA_API_PORT: "9", KUMA_CORS: "a, b,,c" };
  const { values, origins } = resolveSettings(table, {
    file: file(document),
    env,
    flags: { apiPort: 3, flush: undefined },
  });
  assert.is(values.apiPort, 3);
  assert.is(values.readOnly, true);
  assert.equal(values.domains, ["a", "b", "c"]);
  assert.is(values.flush, 2000);
  assert.is(values.address, "0.0.0.0");
  assert.equal(origins, {
    apiPort: "flag --api-port",
    readOnly: "file",
    domains: "env KUMA_CORS",
    password: "default",
    storeType: "default",
    flush: "file",
    address: "default",
    retries: "default",
  });
  assert.ok(Object.isFrozen(values));
});

test("the first of a setting's variables takes precedence, and the others are read as well", () => {
  assert.is(resolveSettings(table, { env: { KUMA_API_PORT: "9" } }).values.apiPort, 9);
  assert.is(resolveSettings(table, { env: { KUMA_API_PORT: "9", KUMA_API_SERVER_PORT: "8" } }).values.apiPort, 8);
});

test("an empty variable is a value for text, and ignored otherwise", () => {
  const { values } = resolveSettings(table, {
    env: { KUMA_PASSWORD: "", KUMA_API_SERVER_PORT: "", KUMA_API_SERVER_READ_ONLY: "" },
  });
  assert.is(values.password, "");
  assert.is(values.apiPort, 5681);
  assert.is(values.readOnly, false);
});

test("every Go spelling of a boolean is accepted", () => {
  for (const word of ["1", "t", "T", "TRUE", "true", "True"]) {
    assert.is(resolveSettings(table, { env: { KUMA_API_SERVER_READ_ONLY: word } }).values.readOnly, true, word);
  }
  assert.match(
    refusal({ env: { KUMA_API_SERVER_READ_ONLY: "yes" } }),
    /KUMA_API_SERVER_READ_ONLY is "yes", but has to be true or false/,
  );
});

test("all errors are reported together, by variable or path", () => {
  const message = refusal({
    file: file({ flush: 5, retries: 1.5, address: "localhost" }),
    env: { KUMA_API_SERVER_PORT: "70000", KUMA_STORE_TYPE: "postgre" },
  });
  assert.is(
    message,
    "settings.invalid|Invalid configuration: " +
      'KUMA_API_SERVER_PORT is "70000", but has to be a whole number from 0 to 65535; ' +
      'KUMA_STORE_TYPE is "postgre", but has to be one of memory, postgres; did you mean postgres?; ' +
      "flush is 5, but has to be a duration such as 300ms, 1s or 720h of at least 1ms; " +
      'address is "localhost", but has to be an IP address; ' +
      "retries is 1.5, but has to be a whole number of at least 0",
  );
});

test("unknown keys of the file are rejected with their path and the nearest key", () => {
  const message = refusal({ file: file({ apiserver: {}, store: { passwrd: "x", other: 1 }, apiServer: 5 }), env: {} });
  assert.ok(message.includes("/etc/kuma.yaml: unknown key apiserver; did you mean apiServer?"));
  assert.ok(message.includes("unknown key store.passwrd; did you mean store.password?"));
  assert.ok(message.includes("unknown key store.other;") || message.includes("unknown key store.other"));
  assert.ok(message.includes("apiServer has to be a map of settings, not 5"));
  assert.match(refusal({ file: file(["a"]), env: {} }), /the file has to be a map of settings, not a list/);
});

test("an invalid secret is rejected without showing it", () => {
  const message = refusal({ file: file({ store: { password: 12345 } }), env: {} });
  assert.not.match(message, "12345");
  assert.match(message, "store.password has a value that can't be used");
});

test("unknown variables with our prefix are warnings with the nearest name", () => {
  const { warnings } = resolveSettings(table, {
    env: { KUMA_API_SERVER_PROT: "1", HOME: "/", KUMA_STORE_TYPE: "memory" },
  });
  assert.equal(warnings, [
    "the environment variable KUMA_API_SERVER_PROT is not a setting and is ignored; did you mean KUMA_API_SERVER_PORT?",
  ]);
});

test("what kubelet says of Services whose names begin like ours is no unknown variable", () => {
  const { warnings } = resolveSettings(table, {
    env: {
      KUMA_CONTROL_PLANE_SERVICE_HOST: "10.96.0.7",
      KUMA_CONTROL_PLANE_SERVICE_PORT: "5681",
      KUMA_CONTROL_PLANE_SERVICE_PORT_HTTP_API_SERVER: "5681",
      KUMA_CONTROL_PLANE_PORT: "tcp://10.96.0.7:5681",
      KUMA_CONTROL_PLANE_PORT_5681_TCP: "tcp://10.96.0.7:5681",
      KUMA_CONTROL_PLANE_PORT_5681_TCP_ADDR: "10.96.0.7",
      KUMA_INJECTOR_PORT: "8443",
    },
  });
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? "", "KUMA_INJECTOR_PORT");
});

test("for text that YAML read as something else, the error says to quote it", () => {
  const plain = { name: { path: "name", env: [], default: "", parse: str, sentence: "" } };
  assert.throws(
    () => resolveSettings(plain, { file: file({ name: 8 }), env: {} }),
    /name is 8, but has to be text; put it in quotes: "8"/,
  );
});

test.run();
