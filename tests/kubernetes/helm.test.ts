import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { loadAll } from "js-yaml";
import * as assert from "uvu/assert";
import { findHelm } from "../../scripts/kubernetes/helm.mjs";
import { kubernetesVersion } from "../../scripts/kubernetes/kit.mjs";
import { issueCertificate } from "../support/certificates.js";
import { bin } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { runProgram } from "./cluster.js";

const helm = findHelm() ?? "";
const test = suite("the Helm chart", { needs: "helm" });

let work: string;
let chart: string;

test.before(async () => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-helm-"));
  chart = path.join(work, "kuma");
  await run(path.join(bin, "kumactl"), "install", "helm-chart", "--directory", chart);
});

test.after(() => fs.rmSync(work, { recursive: true, force: true }));

async function run(...command: string[]): Promise<string> {
  const { status, stdout, stderr } = await runProgram(command);
  assert.is(status, 0, stderr);
  return stdout;
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** By kind and name, with every certificate and key masked. */
function byName(text: string): Record<string, unknown> {
  const documents = (loadAll(text) as (Document | null)[]).filter((document) => document !== null);
  const masked = (_key: string, value: unknown) =>
    typeof value === "string" && /^[A-Za-z0-9+/]{400,}={0,2}$/.test(value) ? "MASKED" : value;
  const entries = documents.map((document) => {
    const { kind, metadata } = document;
    return [`${kind} ${metadata.name}`, JSON.parse(JSON.stringify(document, masked))] as const;
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const cluster = ["--kube-version", kubernetesVersion];

const template = (namespace: string, ...values: string[]) =>
  run(helm, "template", "kuma", chart, ...cluster, "--include-crds", "--namespace", namespace, ...values);

test("passes Helm's lint, strictly", async () => {
  assert.match(await run(helm, "lint", "--strict", chart), "1 chart(s) linted, 0 chart(s) failed");
});

/** The same choices as flags of kumactl and as values of the chart. */
const choices: readonly [title: string, namespace: string, flags: string[], values: string[]][] = [
  ["nothing chosen", "kuma-system", [], []],
  ["another namespace, one that looks like a number", "123", [], []],
  [
    "other Services and three instances",
    "mesh-x",
    ["--control-plane-service-name=cp", "--injector-service-name=in", "--replicas=3"],
    ["controlPlaneServiceName=cp", "injectorServiceName=in", "replicas=3"],
  ],
  [
    "images of a registry",
    "kuma-system",
    ["--image-registry=r.example.com:5000/mesh", "--control-plane-version=1.2.3", "--image-pull-policy=Always"],
    ["imageRegistry=r.example.com:5000/mesh", "controlPlaneVersion=1.2.3", "imagePullPolicy=Always"],
  ],
  [
    "an image each",
    "kuma-system",
    [
      ...["--control-plane-image=a/cp", "--injector-image=b", "--dataplane-image=c/dp", "--dataplane-init-image=d"],
      "--dataplane-init-version=e1",
    ],
    [
      ...["controlPlaneImage=a/cp", "injectorImage=b", "dataplaneImage=c/dp", "dataplaneInitImage=d"],
      "dataplaneInitVersion=e1",
    ],
  ],
  [
    "how sidecars are injected",
    "kuma-system",
    ["--injector-failure-policy=Fail", "--native-sidecar=false"],
    ["injectorFailurePolicy=Fail", "nativeSidecar=false"],
  ],
];
for (const [title, namespace, flags, values] of choices) {
  test(`renders what kumactl prints, certificates and the namespace aside: ${title}`, async () => {
    const printed = byName(
      await run(path.join(bin, "kumactl"), "install", "control-plane", `--namespace=${namespace}`, ...flags),
    );
    delete printed[`Namespace ${namespace}`];
    const rendered = byName(await template(namespace, ...values.flatMap((value) => ["--set", value])));
    assert.equal(rendered, printed);
  });
}

test("the user's own certificates are printed byte for byte as kumactl prints them", async () => {
  const { cert, key } = issueCertificate({ name: "own", hosts: ["own"] });
  const files = [path.join(work, "own.pem"), path.join(work, "own.key")] as const;
  fs.writeFileSync(files[0], cert);
  fs.writeFileSync(files[1], key);
  const servers = ["admissionServer", "injector", "sds"];
  const values = servers.flatMap((server) => [
    ...["--set-file", `${server}TlsCert=${files[0]}`, "--set-file", `${server}TlsKey=${files[1]}`],
  ]);
  const flags = ["admission-server", "injector", "sds"].flatMap((server) => [
    ...[`--${server}-tls-cert`, cert, `--${server}-tls-key`, key],
  ]);
  const printed = loadAll(await run(path.join(bin, "kumactl"), "install", "control-plane", ...flags)) as Document[];
  const rendered = loadAll(await template("kuma-system", ...values)) as Document[];
  const sorted = (documents: Document[]) =>
    documents
      .filter(({ kind }) => kind !== "Namespace")
      .sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1));
  assert.equal(sorted(rendered), sorted(printed));
});

test("Helm's own certificates name the Service, and are the anchor in webhooks and for TLS clients", async () => {
  const documents = loadAll(await template("kuma-system")) as Document[];
  const decoded = (text = "") => Buffer.from(text, "base64").toString();
  const hosts = {
    "kuma-admission-server-tls-cert": "kuma-control-plane.kuma-system.svc",
    "kuma-injector-tls-cert": "kuma-injector.kuma-system.svc",
    "kuma-sds-tls-cert": "kuma-control-plane.kuma-system",
  };
  for (const [secret, servername] of Object.entries(hosts)) {
    const { data } = documents.find(({ metadata }) => metadata.name === secret) ?? {};
    const pair = { cert: decoded(data?.["tls.crt"]), key: decoded(data?.["tls.key"]) };
    const { validToDate } = new X509Certificate(pair.cert);
    assert.is(validToDate.getUTCFullYear(), new Date(Date.now() + 3650 * 86_400_000).getUTCFullYear());
    const server = tls.createServer(pair, (socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise<void>((resolve, reject) => {
      const client = tls.connect({ port, host: "127.0.0.1", servername, ca: pair.cert }, () => client.end(resolve));
      client.on("error", reject);
    });
    await new Promise((resolve) => server.close(resolve));
  }
  const text = JSON.stringify(documents.filter(({ kind }) => kind.endsWith("WebhookConfiguration")));
  const anchors = [...text.matchAll(/"caBundle":"([^"]+)"/g)].map(([, bundle]) => bundle);
  const cert = (secret: string) => documents.find(({ metadata }) => metadata.name === secret)?.data?.["tls.crt"];
  const known = [cert("kuma-admission-server-tls-cert"), cert("kuma-injector-tls-cert")];
  assert.equal(new Set(anchors), new Set(known));
});

const refusals: readonly [value: string, message: RegExp][] = [
  ["sdsTlsCert=x", /SDS: both TLS Cert and TLS Key must be provided at the same time/],
  ["injectorFailurePolicy=ignore", /injectorFailurePolicy/],
  ["replicas=0", /replicas/],
  ["controlPlaneVersion=a b", /controlPlaneVersion/],
  ["controlplaneimage=x", /controlplaneimage/],
];
for (const [value, message] of refusals) {
  test(`refuses ${value}`, async () => {
    const { status, stderr } = await runProgram([helm, "template", "kuma", chart, ...cluster, "--set", value]);
    assert.is(status, 1);
    assert.match(stderr, message);
  });
}

test("refuses a Kubernetes that is too old for its webhooks", async () => {
  const { status, stderr } = await runProgram([helm, "template", "kuma", chart, "--kube-version", "1.28.9"]);
  assert.is(status, 1);
  assert.match(stderr, "chart requires kubeVersion: >=1.29.0-0");
});

test.run();
