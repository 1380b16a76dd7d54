import { createPrivateKey, X509Certificate } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { loadAll } from "js-yaml";
import * as assert from "uvu/assert";
import { installOptionTable, pairFlags } from "../../../src/ctl/install/flags.js";
import { createServerCertificate } from "../../../src/identity/server-certificate.js";
import { optionTable } from "../../../src/kubernetes/manifests/options.js";
import { issueCertificate } from "../../support/certificates.js";
import { golden } from "../../support/golden.js";
import { suite } from "../../support/suite.js";
import { createHome } from "./stage.js";

const test = suite("kumactl install and uninstall for Kubernetes");

const home = createHome();
test.after(() => home.remove());

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly webhooks?: readonly { readonly clientConfig: { readonly caBundle: string } }[];
}

const version = ["--control-plane-version", "1.2.3"];

async function install(...words: string[]): Promise<{ text: string; documents: Document[]; err: string }> {
  const { code, out, err } = await home.run(["install", "control-plane", ...version, ...words]);
  assert.is(code, 0, err);
  return { text: out, documents: loadAll(out) as Document[], err };
}

const decoded = (text = "") => Buffer.from(text, "base64").toString();

/** The certificate and key in a Secret, PEM. */
function pairIn(documents: readonly Document[], secret: string): { cert: string; key: string } {
  const found = documents.find(({ kind, metadata }) => kind === "Secret" && metadata.name === secret);
  return { cert: decoded(found?.data?.["tls.crt"]), key: decoded(found?.data?.["tls.key"]) };
}

const anchor = (documents: readonly Document[], configuration: string) =>
  decoded(documents.find(({ metadata }) => metadata.name === configuration)?.webhooks?.[0]?.clientConfig.caBundle);

/** Every long base64 text is a certificate or a key. */
const masked = (text: string) => text.replace(/\b[A-Za-z0-9+/]{400,}={0,2}/g, "MASKED");

test("the printed control plane is as reviewed, certificates aside", async () => {
  const { text, err } = await install();
  assert.is(err, "");
  const { actual, expected } = golden("kubernetes/control-plane.yaml", masked(text));
  assert.is(actual, expected);
  assert.is(masked((await install()).text), masked(text));
  assert.not.match(text, "v1beta1");
});

test("documents are printed in the order in which they have to be applied", async () => {
  const { documents } = await install();
  const kinds = documents.map(({ kind }) => kind);
  assert.equal(
    [...new Set(kinds)],
    [
      "Namespace",
      "Secret",
      "ConfigMap",
      "ServiceAccount",
      "CustomResourceDefinition",
      "ClusterRole",
      "ClusterRoleBinding",
      "Role",
      "RoleBinding",
      "Service",
      "Deployment",
      "MutatingWebhookConfiguration",
      "PodDisruptionBudget",
      "ValidatingWebhookConfiguration",
    ],
  );
  for (const kind of kinds) {
    const names = documents.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name);
    assert.equal(names, [...names].sort());
  }
});

test("each server's certificate is its own anchor, names its Service, and has ten years", async () => {
  const { documents } = await install();
  const service = (name: string) => [
    `${name}.kuma-system.svc`,
    `${name}.kuma-system`,
    name,
    `${name}.kuma-system.svc.cluster.local`,
  ];
  const expected = {
    "kuma-admission-server-tls-cert": service("kuma-control-plane"),
    "kuma-injector-tls-cert": service("kuma-injector"),
    "kuma-sds-tls-cert": [...service("kuma-control-plane").slice(0, 3), "localhost"],
  };
  for (const [secret, names] of Object.entries(expected)) {
    const { cert, key } = pairIn(documents, secret);
    const certificate = new X509Certificate(cert);
    assert.is(certificate.subjectAltName, names.map((name) => `DNS:${name}`).join(", "));
    assert.is(certificate.subject, `CN=${names[0]}`);
    assert.ok(certificate.ca && certificate.verify(certificate.publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    assert.match(key, /^-----BEGIN RSA PRIVATE KEY-----/);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
    const years = certificate.validToDate.getUTCFullYear() - new Date().getUTCFullYear();
    assert.is(years, 10);
  }
  const admission = pairIn(documents, "kuma-admission-server-tls-cert").cert;
  assert.is(anchor(documents, "kuma-admission-mutating-webhook-configuration"), admission);
  assert.is(anchor(documents, "kuma-validating-webhook-configuration"), admission);
  const injector = pairIn(documents, "kuma-injector-tls-cert").cert;
  assert.is(anchor(documents, "kuma-injector-webhook-configuration"), injector);
});

test("a Service with the longest name still has a certificate for it", async () => {
  const name = "c".repeat(63);
  const { documents } = await install("--control-plane-service-name", name, "--namespace", "n".repeat(63));
  const certificate = new X509Certificate(pairIn(documents, "kuma-sds-tls-cert").cert);
  assert.is(certificate.checkHost(`${name}.${"n".repeat(63)}.svc`), `${name}.${"n".repeat(63)}.svc`);
  assert.is(certificate.subject, `CN=${name}`);
});

test("another namespace and other Services are used wherever the usual ones were", async () => {
  const { text, documents } = await install(
    ...["--namespace", "mesh-x", "--control-plane-service-name", "cp", "--injector-service-name", "in"],
  );
  assert.not.match(text, /kuma-system(?!-namespace)/);
  for (const { metadata } of documents) if (metadata.namespace) assert.is(metadata.namespace, "mesh-x");
  const services = documents.filter(({ kind }) => kind === "Service").map(({ metadata }) => metadata.name);
  assert.equal(services, ["cp", "in"]);
  assert.match(text, "http://cp.mesh-x:5682");
  assert.match(text, /service:\n {6}namespace: mesh-x\n {6}name: in\n/);
  const certificate = new X509Certificate(pairIn(documents, "kuma-injector-tls-cert").cert);
  assert.is(certificate.checkHost("in.mesh-x.svc"), "in.mesh-x.svc");
});

test("images come from a registry, or each from a place of its own", async () => {
  const images = async (...words: string[]) => {
    const { text } = await install(...words);
    return [...text.matchAll(/(?:image|IMAGE\n +value): (\S+)/g)].map(([, image]) => image);
  };
  assert.equal(
    await images("--image-registry", "r.example.com:5000/mesh"),
    ["cp", "injector", "dp", "init"].map((name) => `r.example.com:5000/mesh/kuma-${name}:1.2.3`),
  );
  assert.equal(
    await images(
      ...["--control-plane-image", "a/cp", "--injector-image", "b", "--dataplane-image", "c/d/dp"],
      ...["--dataplane-init-image", "e", "--dataplane-init-version", "9"],
    ),
    ["a/cp:1.2.3", "b:1.2.3", "c/d/dp:1.2.3", "e:9"],
  );
});

test("the remaining flags are in the place that they are for", async () => {
  const { text } = await install(
    ...["--replicas", "3", "--native-sidecar=false", "--injector-failure-policy", "Fail"],
    ...["--image-pull-policy", "Always"],
  );
  assert.match(text, /name: kuma-control-plane\n(?: {2}.*\n)*spec:\n {2}replicas: 3\n/);
  assert.match(text, /KUMA_INJECTOR_NATIVE_SIDECAR\n +value: 'false'\n/);
  assert.match(text, /path: \/inject-sidecar\n +port: 443\n +failurePolicy: Fail\n/);
  assert.is(text.match(/imagePullPolicy: Always/g)?.length, 2);
});

const refusals: readonly [words: string[], message: string][] = [
  [["--namespace", "Kuma"], '"Kuma" for "--namespace" flag: has to be the name of a namespace'],
  [["--namespace", ""], '"" for "--namespace" flag: has to be the name of a namespace'],
  [["--control-plane-service-name", "9cp"], '"9cp" for "--control-plane-service-name" flag: has to be the name of'],
  [["--image-pull-policy", "Sometimes"], "has to be one of IfNotPresent, Always, Never"],
  [["--injector-failure-policy", "ignore"], "has to be one of Ignore, Fail"],
  [["--native-sidecar", "yes"], "has to be one of auto, true, false"],
  [["--replicas", "0"], "has to be a number from 1 to 100"],
  [["--replicas", "2.5"], "has to be a number from 1 to 100"],
  [["--injector-image", "kuma-injector:1.0"], "has to be the name of an image without a tag"],
  [["--dataplane-image", "a b"], "has to be the name of an image without a tag"],
  [["--dataplane-init-version", "a/b"], "has to be the tag of an image"],
  [["--image-registry", "https://r.example.com"], "has to be a registry"],
];
for (const [words, message] of refusals) {
  test(`refuses ${words.join(" ")}`, async () => {
    const { code, out, err } = await home.run(["install", "control-plane", ...words]);
    assert.equal({ code, out }, { code: 1, out: "" });
    assert.ok(err.startsWith("Error: invalid argument ") && err.includes(message), err);
  });
}

const hosts = ["kuma-control-plane.kuma-system.svc", "kuma-control-plane.kuma-system"];

test("a pair of the user's own is used as it is", async () => {
  const own = issueCertificate({ name: "own", hosts });
  const words = ["--admission-server-tls-cert", own.cert, "--admission-server-tls-key", own.key];
  const { documents, err } = await install(...words, "--sds-tls-cert", own.cert, "--sds-tls-key", own.key);
  assert.is(err, "");
  const trimmed = { cert: `${own.cert.trim()}\n`, key: `${own.key.trim()}\n` };
  assert.equal(pairIn(documents, "kuma-admission-server-tls-cert"), trimmed);
  assert.equal(pairIn(documents, "kuma-sds-tls-cert"), trimmed);
  assert.is(anchor(documents, "kuma-validating-webhook-configuration"), trimmed.cert);
});

test("one without the names of its Service is used with a warning", async () => {
  const own = issueCertificate({ name: "kuma-injector.kuma-system.svc" });
  const { err } = await install("--injector-tls-cert", own.cert, "--injector-tls-key", own.key);
  assert.is(
    err,
    "Warning: Injector: the certificate has no subject alternative name kuma-injector.kuma-system.svc or kuma-injector.kuma-system\n",
  );
});

test("half a pair, a wrong half and one that has expired are refused, without printing a key", async () => {
  const own = issueCertificate({ name: "own", hosts });
  const other = issueCertificate({ name: "other", hosts });
  const old = await createServerCertificate({ commonName: "old", hosts, now: new Date("2010-01-01T00:00:00Z") });
  const together = "both TLS Cert and TLS Key must be provided at the same time";
  const cases: [string[], string][] = [
    [["--admission-server-tls-cert", own.cert], `Admission Server: ${together}`],
    [["--injector-tls-key", own.key], `Injector: ${together}`],
    [["--sds-tls-cert", own.cert, "--sds-tls-key", " "], `SDS: ${together}`],
    [["--sds-tls-cert", own.cert, "--sds-tls-key", other.key], "SDS: the key does not belong to the certificate"],
    [["--sds-tls-cert", own.key, "--sds-tls-key", own.key], "SDS: a certificate is expected as PEM text"],
    [
      ["--sds-tls-cert", own.cert, "--sds-tls-key", "key.pem"],
      "SDS: a private key without a passphrase is expected as PEM text",
    ],
    [
      ["--sds-tls-cert", old.cert, "--sds-tls-key", old.key],
      "SDS: the certificate expired at 2020-01-01T00:00:00.000Z",
    ],
  ];
  for (const [words, message] of cases) {
    const { code, out, err } = await home.run(["install", "control-plane", ...words]);
    assert.equal({ code, out, err }, { code: 1, out: "", err: `Error: ${message}\n` });
  }
  const twice = await home.run(["install", "control-plane", "--sds-tls-key", own.key, "--sds-tls-key", other.key]);
  assert.is(twice.code, 1);
  assert.not.match(twice.err, own.key.split("\n")[1] ?? "");
});

test("with the Secrets of an installation the output is the same again", async () => {
  const { text, documents } = await install();
  const items = documents.filter(({ kind }) => kind === "Secret");
  const list = home.file("secrets.json", JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  assert.is((await install("--tls-secrets", list)).text, text);
  const stdin = { stdin: text };
  const again = await home.run(["install", "control-plane", ...version, "--tls-secrets", "-"], stdin);
  assert.is(again.out, text);
  const own = issueCertificate({ name: "own", hosts });
  const mixed = await install("--tls-secrets", list, "--sds-tls-cert", own.cert, "--sds-tls-key", own.key);
  assert.is(pairIn(mixed.documents, "kuma-sds-tls-cert").cert, `${own.cert.trim()}\n`);
  assert.equal(pairIn(mixed.documents, "kuma-injector-tls-cert"), pairIn(documents, "kuma-injector-tls-cert"));
});

test("Secrets that lack one of the three are refused by name", async () => {
  const secret = (name: string, data: unknown) => ({ kind: "Secret", metadata: { name }, data });
  const cases: [string, string][] = [
    ["", "there is no Secret kuma-admission-server-tls-cert"],
    ["a: [", "unexpected end of the stream within a flow collection"],
    ["[1, null]", "there is no Secret kuma-admission-server-tls-cert"],
    [
      JSON.stringify(secret("kuma-admission-server-tls-cert", { "tls.crt": "eA==" })),
      "Secret kuma-admission-server-tls-cert lacks tls.crt or tls.key",
    ],
    [
      JSON.stringify(secret("kuma-admission-server-tls-cert", null)),
      "Secret kuma-admission-server-tls-cert lacks tls.crt or tls.key",
    ],
  ];
  for (const [stdin, problem] of cases) {
    const { code, out, err } = await home.run(["install", "control-plane", "--tls-secrets", "-"], { stdin });
    assert.equal({ code, out }, { code: 1, out: "" });
    assert.ok(err.startsWith("Error: --tls-secrets -: ") && err.includes(problem), err);
  }
});

const identity = ({ kind, metadata: { name, namespace = "" } }: Document) => `${kind} ${namespace}/${name}`;

test("uninstall names what install printed, in the opposite order, and keeps the state unless told", async () => {
  const words = ["--namespace", "mesh-x", "--injector-service-name", "in"];
  const installed = (await install(...words)).documents.map(identity).reverse();
  const uninstall = async (...more: string[]) => {
    const { code, out, err } = await home.run(["uninstall", "control-plane", ...words, ...more]);
    assert.is(code, 0, err);
    return { names: (loadAll(out) as Document[]).map(identity), err };
  };
  const all = await uninstall("--crds");
  assert.equal(all.names, installed);
  assert.match(all.err, "deletes all meshes and policies");
  const some = await uninstall();
  assert.equal(
    some.names,
    installed.filter((name) => !/^(CustomResourceDefinition|Namespace) /.test(name)),
  );
  assert.match(some.err, "stay; --crds deletes them, too");
});

test("the chart is written to a directory, never over what is there", async () => {
  const directory = path.join(home.path, "kuma");
  const { code, out } = await home.run(["install", "helm-chart", "--directory", directory]);
  assert.equal({ code, out }, { code: 0, out: `Chart saved in: ${directory}\n` });
  assert.ok(fs.existsSync(path.join(directory, "Chart.yaml")));
  const again = await home.run(["install", "helm-chart", "--directory", directory]);
  assert.equal(again.code, 1);
  assert.is(again.err, `Error: failed to write the chart to "${directory}": the directory is not empty\n`);
});

test("each flag is a value of the chart with the same name in camel case", async () => {
  const { out } = await home.run(["install", "control-plane", "-h"]);
  const flags = [...out.matchAll(/^ +--([a-z-]+) \w/gm)].map(([, name = ""]) => name);
  const camel = flags.map((flag) => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  const values = [...Object.keys(installOptionTable), ...Object.keys(pairFlags)];
  const others = ["namespace", "tlsSecrets", "configFile", "logLevel", "mesh"];
  assert.equal([...camel].sort(), [...values, ...others].sort());
  assert.equal(Object.keys(optionTable("1.2.3")), Object.keys(installOptionTable));
});

test.run();
