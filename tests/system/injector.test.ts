import fs from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { startProgram } from "../support/executable.js";
import { goldenRoot } from "../support/golden.js";
import {
  mountedSecret,
  type Reply,
  type StartedInjector,
  startInjector,
  webhookCertificate,
} from "../support/injector.js";
import { patched } from "../support/json-patch.js";
import { suite } from "../support/suite.js";

const test = suite("kuma-injector");

type Raw = Record<string, unknown>;
const fixture = (name: string) =>
  load(fs.readFileSync(path.join(goldenRoot, "kubernetes/injection", name), "utf8")) as Raw;

const review = (object: unknown, more: Raw = {}) => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: "0a1b",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    namespace: "demo",
    operation: "CREATE",
    object,
    ...more,
  },
});

interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
  readonly status?: { readonly code: number; readonly message: string };
}

function responseOf({ status, text }: Reply): Response {
  assert.is(status, 200, text);
  const { apiVersion, kind, response } = JSON.parse(text);
  assert.equal([apiVersion, kind], ["admission.k8s.io/v1", "AdmissionReview"]);
  return response;
}

const injectedPod = (object: unknown, { patch = "" }: Response) =>
  patched(object, JSON.parse(Buffer.from(patch, "base64").toString()));

let injector: StartedInjector;
test.before(async () => {
  injector = await startInjector();
});
test.after(() => injector.end());

const asked = async (object: unknown, more: Raw = {}) =>
  responseOf(await injector.ask({ body: JSON.stringify(review(object, more)) }));

test("answers the review of a pod with a patch that makes of it what the golden file shows", async () => {
  for (const name of ["pod", "plain"]) {
    const object = fixture(`${name}.yaml`);
    const response = await asked(object);
    assert.equal([response.uid, response.allowed, response.patchType], ["0a1b", true, "JSONPatch"]);
    assert.equal(injectedPod(object, response), fixture(`${name}.classic.yaml`));
  }
});

test("takes the path with the query that API servers add", async () => {
  const body = JSON.stringify(review(fixture("plain.yaml")));
  assert.ok(responseOf(await injector.ask({ path: "/inject-sidecar?timeout=10s", body })).patch);
});

test("answers a dry run, and a pod whose name and namespace are not known yet, like any other", async () => {
  const object = fixture("plain.yaml");
  const { patch } = await asked(object);
  assert.is((await asked(object, { dryRun: true })).patch, patch);
  assert.is((await asked({ ...object, metadata: { generateName: "redis-" } })).patch, patch);
});

test("sends no patch for a pod that it has injected, nor for one that is only updated", async () => {
  const object = fixture("pod.yaml");
  const injected = injectedPod(object, await asked(object));
  assert.equal(await asked(injected), { uid: "0a1b", allowed: true });
  assert.equal(await asked(object, { operation: "UPDATE" }), { uid: "0a1b", allowed: true });
  assert.equal(await asked(object, { subResource: "ephemeralcontainers" }), { uid: "0a1b", allowed: true });
});

test("denies a pod with an annotation that can't be used, by its name", async () => {
  const { allowed, status, patch } = await asked({
    ...fixture("plain.yaml"),
    metadata: { annotations: { "traffic.kuma.io/exclude-inbound-ports": "http" } },
  });
  assert.equal([allowed, status?.code, patch], [false, 422, undefined]);
  assert.match(status?.message ?? "", "the annotation traffic.kuma.io/exclude-inbound-ports is invalid");
});

test("denies an object that is no pod with 400", async () => {
  for (const object of [
    null,
    "pod",
    { apiVersion: "v1", kind: "Service", spec: {} },
    { apiVersion: "v1", kind: "Pod" },
  ]) {
    const { allowed, status } = await asked(object);
    assert.equal([allowed, status?.code], [false, 400]);
  }
});

test("answers bodies that are no AdmissionReview with 400 and what is wrong", async () => {
  for (const [body, problem] of [
    ["", "The body is empty; send the AdmissionReview as JSON"],
    ["pod", "The body is not valid JSON"],
    [Buffer.from([0xff, 0xfe]), "it is not UTF-8 text"],
    ["[]", "an AdmissionReview has to be an object"],
    [JSON.stringify(fixture("plain.yaml")), 'kind is \\"Pod\\", but has to be \\"AdmissionReview\\"'],
    [JSON.stringify({ ...review({}), apiVersion: "admission.k8s.io/v1beta1" }), 'has to be \\"admission.k8s.io/v1\\"'],
    [JSON.stringify(review({}, { uid: undefined })), "request.uid has to be text"],
    ["[".repeat(100_000), "nested deeper than 200 levels"],
    [`[${"0,".repeat(300_000)}0]`, "a list has too many elements"],
  ] as const) {
    const { status, text } = await injector.ask({ body });
    assert.is(status, 400, text);
    assert.ok(text.includes(problem), `${text} does not say ${problem}`);
  }
});

test("answers other methods, media types, paths and sizes as HTTP defines it", async () => {
  const body = JSON.stringify(review(fixture("plain.yaml")));
  const get = await injector.ask({ method: "GET" });
  assert.equal([get.status, get.headers.allow], [405, "POST"]);
  assert.is((await injector.ask({ method: "POST", path: "/healthy" })).status, 405);
  assert.is((await injector.ask({ body, headers: { "content-type": "application/yaml" } })).status, 415);
  assert.is((await injector.ask({ body, headers: { "content-type": "application/json; charset=utf-8" } })).status, 200);
  assert.is((await injector.ask({ path: "/inject", body })).status, 404);
  assert.is((await injector.ask({ body: Buffer.alloc(8 * 1024 * 1024 + 1, " ") })).status, 413);
  const large = { ...fixture("plain.yaml"), status: { filler: "x".repeat(7 * 1024 * 1024) } };
  assert.ok((await asked(large)).patch);
});

test("is healthy and ready without a body, and counts what it did", async () => {
  for (const path of ["/healthy", "/ready"]) {
    const { status, text } = await injector.ask({ method: "GET", path });
    assert.equal([status, text], [200, ""]);
  }
  const { text, headers } = await injector.ask({ method: "GET", path: "/metrics" });
  assert.match(String(headers["content-type"]), "text/plain");
  for (const line of [
    /^injection_requests\{outcome="injected"\} [1-9]/m,
    /^injection_requests\{outcome="refused"\} [1-9]/m,
  ]) {
    assert.match(text, line);
  }
  assert.match(text, /^injection_requests\{outcome="static"\} 0$/m);
  assert.match(text, /^refusals\{server="injector",limit="body"\} 1$/m);
  assert.match(text, /^caught_exceptions\{server="injector"\} 0$/m);
});

test("answers requests that come together each with its own pod", async () => {
  const names = Array.from({ length: 100 }, (_, index) => `pod-${index}`);
  const answers = await Promise.all(
    names.map((name) =>
      asked({ ...fixture("plain.yaml"), metadata: { annotations: { "kuma.io/mesh": name } } }, { uid: name }),
    ),
  );
  for (const [index, { uid, patch = "" }] of answers.entries()) {
    assert.is(uid, names[index]);
    assert.match(Buffer.from(patch, "base64").toString(), `"value":"${uid}"`);
  }
});

test("answers 503 when large bodies come faster than it reads them, and serves small ones meanwhile", async () => {
  const filler = `[${"[],".repeat(90_000)}[]]`;
  const large = JSON.stringify(review({ ...fixture("plain.yaml"), status: { filler: "x".repeat(6 * 1024 * 1024) } }));
  const body = large.replace('"status":{', `"status":{"values":${filler},`);
  const flood = Array.from({ length: 24 }, () => injector.ask({ body }));
  assert.ok((await asked(fixture("plain.yaml"))).patch);
  const statuses = (await Promise.all(flood)).map(({ status }) => status);
  assert.equal(new Set(statuses), new Set([200, 503]), statuses.join());
  const { text } = await injector.ask({ method: "GET", path: "/metrics" });
  const refused = statuses.filter((status) => status === 503).length;
  const counted = [...text.matchAll(/^refusals\{server="injector",limit="(?:reviews|unfinished)"\} (\d+)$/gm)];
  assert.is(
    counted.reduce((sum, [, count]) => sum + Number(count), 0),
    refused,
  );
});

test("presents a replaced certificate to new connections, and keeps it when the next one is broken", async () => {
  const own = await startInjector();
  try {
    const next = webhookCertificate("next");
    const body = JSON.stringify(review(fixture("plain.yaml")));
    own.replace(next);
    const reached = () => own.ask({ body }, next.cert).then(({ status }) => status === 200);
    await eventually("clients that trust the new certificate are served", reached, 10_000);
    own.replace({ cert: next.cert, key: own.certificate.key });
    await eventually("the log says so", () => own.output().includes("the certificate files can't be used"));
    assert.ok(await reached());
    own.replace(issueCertificate({ name: "kuma-injector" }));
    await eventually("the log warns", () => own.output().includes("has no subject alternative name"));
  } finally {
    await own.end();
  }
});

test("refuses to start without usable certificates, and says which setting names them", async () => {
  const { directory, put, remove } = mountedSecret();
  const start = async () => {
    const program = startProgram("kuma-injector", ["run", "--native-sidecar=false"], {
      KUMA_INJECTOR_WEBHOOK_SERVER_PORT: "0",
      KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: directory,
    });
    assert.is(await program.ended, 1);
    return program.output();
  };
  try {
    const setting = "KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR";
    assert.match(await start(), `${setting} names "${directory}/tls.crt", which can't be read`);
    put({ "tls.crt": webhookCertificate().cert, "tls.key": webhookCertificate().key });
    assert.match(await start(), "which is not the key of the certificate");
  } finally {
    remove();
  }
});

test("after SIGTERM it is not ready and serves on for the delay, then ends with 0", async () => {
  const own = await startInjector({ env: { KUMA_INJECTOR_WEBHOOK_SERVER_SHUTDOWN_DELAY: "1s" } });
  try {
    const body = JSON.stringify(review(fixture("plain.yaml")));
    own.child.kill("SIGTERM");
    await eventually("it is not ready", async () => (await own.ask({ method: "GET", path: "/ready" })).status === 503);
    assert.ok(responseOf(await own.ask({ body })).patch);
    assert.is(await own.ended, 0);
  } finally {
    await own.end();
  }
});

/** Answers as an API server of this version answers `GET /version`: none that old can be had, and nothing else is asked. */
async function apiServer(minor: string) {
  const certificate = issueCertificate({ name: "api", hosts: ["127.0.0.1"] });
  const paths: string[] = [];
  const server = createServer(certificate, ({ method, url, headers }, response) => {
    paths.push(`${method} ${url} ${headers.authorization ?? "anonymous"}`);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ major: "1", minor, gitVersion: `v1.${minor}.0` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const secret = mountedSecret();
  secret.put({ "ca.crt": certificate.cert });
  return {
    paths,
    env: {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port),
      KUMA_INJECTOR_API_CREDENTIALS_DIR: secret.directory,
    },
    close() {
      secret.remove();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("makes native sidecars where the API server runs them, which it asks once and without a token", async () => {
  const api = await apiServer("29");
  const own = await startInjector({ env: api.env, args: [] });
  try {
    const object = fixture("pod.yaml");
    const response = responseOf(await own.ask({ body: JSON.stringify(review(object)) }));
    assert.equal(injectedPod(object, response), fixture("pod.native.yaml"));
    assert.equal(api.paths, ["GET /version anonymous"]);
  } finally {
    await own.end();
    api.close();
  }
});

test("makes ordinary sidecars on an older API server, and refuses to be told otherwise", async () => {
  const api = await apiServer("28");
  const own = await startInjector({ env: api.env, args: [] });
  try {
    const object = fixture("plain.yaml");
    const response = responseOf(await own.ask({ body: JSON.stringify(review(object)) }));
    assert.equal(injectedPod(object, response), fixture("plain.classic.yaml"));
    const told = startProgram("kuma-injector", ["run", "--native-sidecar=true"], {
      ...api.env,
      KUMA_INJECTOR_WEBHOOK_SERVER_PORT: "0",
      KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: own.certDir,
    });
    assert.is(await told.ended, 1);
    assert.match(told.output(), "The API server has version v1.28.0, but native sidecars take 1.29 or newer");
  } finally {
    await own.end();
    api.close();
  }
});

test("warns without an API server and makes ordinary sidecars", async () => {
  const own = await startInjector({ env: { KUBERNETES_SERVICE_HOST: "" }, args: [] });
  try {
    assert.match(own.output(), /warning: the API server's version is unknown; sidecars are ordinary containers/);
    assert.match(own.output(), "KUBERNETES_SERVICE_HOST is not set, as it is in pods");
  } finally {
    await own.end();
  }
});

test.run();
