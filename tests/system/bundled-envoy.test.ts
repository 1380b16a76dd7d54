import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { bundledEnvoy } from "../../src/cp/checks/bundled-envoy.js";
import { readRaw } from "../../src/envoy/raw/native.js";
import { envoyOperators } from "../../src/resources/log-operators.js";
import { checkRaw } from "../support/check-raw.js";
import { eventually } from "../support/eventually.js";
import { bin, type ControlPlane, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("the Envoy beside the control plane", { needs: "envoy" });

let scratch: string;
let cp: ControlPlane;
test.before(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-"));
  cp = await startControlPlane({ TMPDIR: scratch, KUMA_API_SERVER_INTERFACE: "127.0.0.1" });
});
test.after(async () => {
  await cp.stop();
  fs.rmSync(scratch, { recursive: true, force: true });
});

const binary = path.join(bin, "envoy");
/** A field that Envoy 1.39 has and 1.31 had not. */
const ofToday = { perConnectionBufferHighWatermarkTimeout: "1s" };
const cluster = (more: object) =>
  JSON.stringify({ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: "c", ...more });

async function put(...resources: readonly string[]): Promise<{ status: number; messages: readonly string[] }> {
  const response = await fetch(`${cp.api}/meshes/default/proxytemplates/t`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      type: "ProxyTemplate",
      mesh: "default",
      name: "t",
      resources: resources.map((resource) => ({ name: "r", version: "v", resource })),
    }),
  });
  const text = await response.text();
  const { causes = [] } = (text === "" ? {} : JSON.parse(text)) as { causes?: { message: string }[] };
  return { status: response.status, messages: causes.map(({ message }) => message) };
}

test("its API is read from its executable, and encodes fields that ours lacks", async () => {
  const api = await bundledEnvoy(binary).api();
  assert.ok(api);
  assert.match(api?.label ?? "", /^Envoy 1\.\d+\.\d+$/);
  assert.is(checkRaw(cluster(ofToday)).length, 1);
  assert.equal(checkRaw(cluster(ofToday), api), []);
  const [plain, more] = [readRaw(cluster({}), api), readRaw(cluster(ofToday), api)];
  assert.ok(plain.valid && more.valid);
  if (plain.valid && more.valid) assert.not.equal(plain.raw.resource.bytes, more.raw.resource.bytes);
  // What both know is the same bytes by either.
  if (plain.valid) assert.is(plain.raw.resource, (readRaw(cluster({})) as typeof plain).raw.resource);
});

test("a binary that is not Envoy, or missing, has no API", async () => {
  const file = path.join(scratch, "not-envoy");
  fs.writeFileSync(file, "#!/bin/sh\necho nothing\n", { mode: 0o755 });
  assert.is(await bundledEnvoy(file).api(), undefined);
  assert.is(await bundledEnvoy(path.join(scratch, "absent")).api(), undefined);
});

test("it rejects with its own error message, and accepts what it knows", async () => {
  const envoy = bundledEnvoy(binary);
  const configuration = (more: object) => ({
    staticResources: { clusters: [{ name: "c", type: "STATIC", connectTimeout: "1s", ...more }] },
  });
  assert.is(await envoy.refusal(configuration(ofToday)), undefined);
  assert.match((await envoy.refusal(configuration({ nonsense: 1 }))) ?? "", "no such field: 'nonsense'");
  assert.match((await envoy.refusal(configuration({ connectTimeout: "x" }))) ?? "", "connectTimeout");
});

test("an Envoy that hangs is killed, and leaves no file", async () => {
  const file = path.join(scratch, "hanging-envoy");
  fs.writeFileSync(file, "#!/bin/sh\nexec /bin/sleep 60\n", { mode: 0o755 });
  assert.is(await bundledEnvoy(file, 200).refusal({}), "it did not answer within 0.2 s");
});

test("an Envoy that is too slow to tell its version is asked again the next time", async () => {
  const file = path.join(scratch, "slow-envoy");
  const asked = path.join(scratch, "asked");
  const version = "envoy  version: 68fe53a/1.39.0/Clean/RELEASE/BoringSSL";
  fs.writeFileSync(
    file,
    `#!/bin/sh\n[ -e ${asked} ] && echo "${version}" && exit\n: > ${asked}\nexec /bin/sleep 60\n`,
    {
      mode: 0o755,
    },
  );
  const envoy = bundledEnvoy(file, 3_000);
  assert.is(await envoy.label(), undefined);
  assert.is(await envoy.label(), "Envoy 1.39.0");
});

test("a field newer than our API is accepted over the HTTP API", async () => {
  assert.equal(await put(cluster(ofToday)), { status: 201, messages: [] });
});

test("a field unknown to both is rejected by the newer API", async () => {
  const { status, messages } = await put(cluster({ ...ofToday, perConnectionBufferHighWatermarkTimout: "1s" }));
  assert.is(status, 400);
  assert.is(messages.length, 1);
  assert.match(
    messages[0] ?? "",
    /did you mean "perConnectionBufferHighWatermarkTimeout"\? \(checked against the API of Envoy 1\.\d+\.\d+\)/,
  );
});

test("validation neither runs nor opens anything in a resource", async () => {
  const trace = path.join(scratch, "trace");
  const manager =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
  const lua = { "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua" };
  const log = { "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", path: trace };
  const listener = {
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    name: "l",
    ...ofToday,
    address: { socketAddress: { address: "127.0.0.1", portValue: 8443 } },
    filterChains: [
      {
        filters: [
          {
            name: "http",
            typedConfig: {
              "@type": manager,
              statPrefix: "x",
              routeConfig: {},
              accessLog: [{ name: "log", typedConfig: log }],
              httpFilters: [
                {
                  name: "lua",
                  typedConfig: { ...lua, defaultSourceCode: { inlineString: `io.open("${trace}", "w")` } },
                },
              ],
            },
          },
        ],
      },
    ],
  };
  assert.equal(await put(JSON.stringify(listener)), { status: 200, messages: [] });
  assert.not(fs.existsSync(trace));
});

test("many concurrent validations are all answered and leave nothing behind", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => put(cluster(ofToday))));
  for (const { status } of answers) assert.ok([200, 409].includes(status), `status ${status}`);
  await eventually("all files of the questions are gone", () =>
    fs.readdirSync(scratch).every((name) => !name.startsWith("kuma-cp-")),
  );
});

async function putMesh(...formats: readonly string[]): Promise<{ status: number; causes: unknown }> {
  const backends = formats.map((format, index) => ({ name: `b${index}`, format, file: { path: "/tmp/a.log" } }));
  const response = await fetch(`${cp.api}/meshes/logged`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "Mesh", name: "logged", logging: { backends } }),
  });
  const text = await response.text();
  const { causes = [] } = (text === "" ? {} : JSON.parse(text)) as { causes?: unknown };
  return { status: response.status, causes };
}

/** Arguments for the operators that need some. */
const needed: Readonly<Record<string, string>> = {
  COALESCE: '{"operators": ["DURATION"]}',
  COMMON_DURATION: "DS_RX_BEG:DS_TX_END:ms",
  METADATA: "CLUSTER:a:b",
  XFCC_VALUE: "uri",
};

test("it has every operator that we know, with the expected arguments", async () => {
  const formats = [...envoyOperators].map(([name, shape]) =>
    shape === "required" ? `%${name}(${needed[name] ?? "a"})%` : `%${name}%`,
  );
  assert.equal(await putMesh(...formats), { status: 201, causes: [] });
});

test("a log format that it would reject is rejected, with the position of an unknown operator", async () => {
  assert.equal(await putMesh("fine %DURATION%", "took %NOPE%"), {
    status: 400,
    causes: [{ field: "logging.backends[1].format", message: 'unknown operator "%NOPE%" (at character 6)' }],
  });
  const { status, causes } = await putMesh("%COMMON_DURATION(a b)%");
  assert.is(status, 400);
  assert.match(
    JSON.stringify(causes),
    /logging.backends\[0\].format.*Envoy 1\.\d+\.\d+ refuses it: Invalid common duration/,
  );
});

test.run();
