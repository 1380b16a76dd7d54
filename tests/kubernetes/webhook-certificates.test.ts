// deadline: 240 s
import { X509Certificate } from "node:crypto";
import { networkInterfaces } from "node:os";
import * as assert from "uvu/assert";
import { createServerCertificate } from "../../src/identity/server-certificate.js";
import { createKubeClient, type KubeClient } from "../../src/kubeapi/client.js";
import { loadCredentials } from "../../src/kubeapi/credentials.js";
import { startWebhookCertificates } from "../../src/kubernetes/webhook-certificates.js";
import { webhookServers } from "../../src/kubernetes/webhook-names.js";
import { sleep } from "../../src/lib/deadline.js";
import { createLogger } from "../../src/lib/logger.js";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { runProgram } from "../support/executable.js";
import { startInjector } from "../support/injector.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { whenDefaultAccount } from "./cluster.js";

const test = suite("the certificates of webhooks", { needs: "kubernetes" });

const day = 86_400_000;
/** A certificate is valid for ten years, of which this is more than four fifths. */
const nineYearsAgo = () => new Date(Date.now() - 9 * 365 * day);
const hosts = ["kuma-injector.kuma-system.svc", "127.0.0.1.nip.test"];
const selfSigned = (now: Date) => createServerCertificate({ commonName: "kuma-injector", hosts, now });
const encoded = (text: string) => Buffer.from(text).toString("base64");
const decoded = (text = "") => Buffer.from(text, "base64").toString();

let cluster: ApiServer;
let client: KubeClient;
test.before(async () => {
  cluster = await startApiServer({
    // Services are reached by their endpoints: no kube-proxy runs here.
    flags: ["--enable-aggregator-routing=true"],
  });
  client = createKubeClient(await loadCredentials({ kubeconfig: cluster.kubeconfig }));
});
test.after(async () => {
  client?.close();
  await cluster?.stop();
});

const configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

let installations = 0;

interface Installation {
  /** Of the Secret. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  /** Instead of one that is never called. */
  readonly webhook?: object;
  readonly times?: { readonly retire: number };
}

/** A Secret with the pair, and a webhook of a Service in the same namespace whose callers trust it. */
async function installed({ cert, key }: IssuedCertificate, options: Installation = {}) {
  const { annotations = {}, namespace = `system-${++installations}`, times } = options;
  const secret = { name: "kuma-injector-tls-cert", namespace };
  const service = { namespace, name: "kuma-injector" };
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "v1",
      kind: "Secret",
      type: "kubernetes.io/tls",
      metadata: { ...secret, annotations },
      data: { "tls.crt": encoded(cert), "tls.key": encoded(key) },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: namespace },
      webhooks: [options.webhook ?? webhook("ours.kuma.io", { service, caBundle: encoded(cert) })],
    },
  ]);
  const start = (through: Pick<KubeClient, "get" | "replace"> = client) => {
    const lines: string[] = [];
    const controller = startWebhookCertificates({
      client: through,
      systemNamespace: namespace,
      servers: [
        {
          secret: secret.name,
          configurations: [{ plural: "mutatingwebhookconfigurations", name: namespace }],
        },
      ],
      create: (names, now) => createServerCertificate({ commonName: "kuma-injector", hosts: names, now }),
      logger: createLogger({ name: "test", level: "info", write: (line) => lines.push(line) }),
      times: { check: 200, step: 50, trust: 1_000, retire: 1_000, ...times },
    });
    return { close: () => controller.close(), log: () => lines.join("") };
  };
  const stored = async () => {
    const { body } = await cluster.request("GET", `/api/v1/namespaces/${namespace}/secrets/${secret.name}`);
    const { data } = body as { readonly data: Readonly<Record<string, string>> };
    return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, decoded(text)])) as Record<
      string,
      string | undefined
    >;
  };
  const trusted = async () => {
    const { body } = await cluster.request("GET", `${configurations}/${namespace}`);
    const { webhooks } = body as {
      readonly webhooks: readonly { readonly clientConfig: { readonly caBundle: string } }[];
    };
    return decoded(webhooks[0]?.clientConfig.caBundle);
  };
  return { namespace, secret: secret.name, start, stored, trusted };
}

const webhook = (name: string, clientConfig: object) => ({
  name,
  clientConfig,
  // Nothing ever matches: these tests look at the trust, not at calls.
  rules: [{ apiGroups: ["none.kuma.io"], apiVersions: ["v1"], resources: ["*"], operations: ["CREATE"] }],
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
});

test("are renewed before they end, for the same names, and presented only while they are trusted", async () => {
  const old = await selfSigned(nineYearsAgo());
  const { start, stored, trusted } = await installed(old);
  /** Each write, in order: which certificate is presented after it, and which are trusted. */
  const history = [{ presented: old.cert.trim(), bundle: old.cert }];
  const controller = start({
    get: client.get,
    async replace(collection, object) {
      const replaced = await client.replace(collection, object);
      const last = history.at(-1) ?? { presented: "", bundle: "" };
      if (collection.plural === "secrets") {
        const { "tls.crt": cert } = object.data as Readonly<Record<string, string>>;
        history.push({ ...last, presented: decoded(cert).trim() });
      } else {
        const [first] = object.webhooks as readonly { readonly clientConfig: { readonly caBundle: string } }[];
        history.push({ ...last, bundle: decoded(first?.clientConfig.caBundle) });
      }
      return replaced;
    },
  });
  try {
    await eventually("the renewal is over", () => controller.log().includes("is renewed\t"));
    const { "tls.crt": cert = "", ...rest } = await stored();
    assert.equal(Object.keys(rest), ["tls.key"]);
    assert.is((await trusted()).trim(), cert.trim());
    const certificate = new X509Certificate(cert);
    assert.is(certificate.subjectAltName, hosts.map((host) => `DNS:${host}`).join(", "));
    assert.ok(certificate.validToDate.getTime() > Date.now() + 9 * 365 * day);

    for (const { presented, bundle } of history) assert.ok(bundle.includes(presented), "presented, but not trusted");
    const swap = history.findIndex(({ presented }) => presented === cert.trim());
    // Servers get a changed Secret some time later, so both have to be trusted on either side of the change.
    for (const { bundle } of [history[swap - 1], history[swap]].flatMap((one) => one ?? [])) {
      for (const one of [old.cert, cert])
        assert.ok(bundle.includes(one.trim()), "not both are trusted around the change");
    }
    assert.ok(swap < history.length - 1);
  } finally {
    await controller.close();
  }
});

test("are renewed once when two control planes do it, and by another one when the first is gone", async () => {
  const { start, stored } = await installed(await selfSigned(nineYearsAgo()));
  const first = start();
  await eventually("a next pair is there", async () => (await stored())["next.crt"] !== undefined);
  const { "next.crt": next } = await stored();
  await first.close();
  const others = [start(), start()];
  try {
    await eventually("the renewal is over", async () => {
      const { "tls.crt": cert, "previous.crt": previous, "next.crt": staged } = await stored();
      return cert === next && previous === undefined && staged === undefined;
    });
    for (const { log } of others) assert.not.match(log(), "ERROR");
  } finally {
    for (const other of others) await other.close();
  }
});

test("are left alone while they are fresh, and trust in them is repaired", async () => {
  const fresh = await selfSigned(new Date());
  const { namespace, start, stored, trusted } = await installed(fresh);
  const other = await selfSigned(new Date());
  await cluster.request(
    "PATCH",
    `${configurations}/${namespace}`,
    [{ op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: encoded(other.cert) }],
    { contentType: "application/json-patch+json" },
  );
  const controller = start();
  try {
    await eventually("it is trusted again", async () => (await trusted()).includes(fresh.cert.trim()));
    assert.match(await trusted(), other.cert.trim().split("\n")[5] ?? "");
    assert.is((await stored())["tls.crt"], fresh.cert);
  } finally {
    await controller.close();
  }
});

test("of another issuer are left to it, and an error names the Secret when they come near their end", async () => {
  const authority = issueCertificate({ name: "company" });
  const theirs = issueCertificate({ name: "kuma-injector", by: authority, hosts });
  const managed = await selfSigned(nineYearsAgo());
  for (const [pair, annotations, problem] of [
    [theirs, {}, undefined],
    [managed, { "kuma.io/certificate-renewal": "disabled" }, /can't be renewed.*whoever issued it or keeps the Secret/],
    [managed, { "cert-manager.io/certificate-name": "injector" }, /can't be renewed.*kuma-injector-tls-cert/],
  ] as const) {
    const { start, stored, trusted } = await installed(pair, { annotations });
    const before = await trusted();
    const controller = start();
    try {
      if (problem !== undefined) await eventually("the log says so", () => problem.test(controller.log()));
      assert.is((await stored())["tls.crt"], pair.cert);
      assert.is(await trusted(), before);
    } finally {
      await controller.close();
    }
  }
});

test("are renewed with the permissions and under the names that kumactl install prints", async () => {
  const pairs = {
    "admission-server": await selfSigned(nineYearsAgo()),
    injector: await selfSigned(nineYearsAgo()),
  };
  const given = Object.entries(pairs).flatMap(([server, { cert, key }]) => [
    `--${server}-tls-cert=${cert}`,
    `--${server}-tls-key=${key}`,
  ]);
  const { status, stdout, stderr } = runProgram("kumactl", ["install", "control-plane", ...given]);
  assert.is(status, 0, stderr);
  await cluster.apply(stdout);
  const token = await cluster.accountToken("kuma-system", "kuma-control-plane");
  const own = createKubeClient(await loadCredentials({ kubeconfig: cluster.writeKubeconfig(token) }));
  const lines: string[] = [];
  const controller = startWebhookCertificates({
    client: own,
    systemNamespace: "kuma-system",
    servers: webhookServers,
    create: (names, now) => createServerCertificate({ commonName: "kuma", hosts: names, now }),
    logger: createLogger({ name: "test", level: "info", write: (line) => lines.push(line) }),
    times: { check: 500, step: 50, trust: 200, retire: 200 },
  });
  const certificateOf = async (secret: string) => {
    const { body } = await cluster.request("GET", `/api/v1/namespaces/kuma-system/secrets/${secret}`);
    const { data } = body as { readonly data: Readonly<Record<string, string>> };
    return data["previous.crt"] === undefined ? data["tls.crt"] : undefined;
  };
  const bundlesOf = async (plural: string, name: string) => {
    const { body } = await cluster.request("GET", `/apis/admissionregistration.k8s.io/v1/${plural}/${name}`);
    const { webhooks } = body as {
      readonly webhooks: readonly { readonly clientConfig: { readonly caBundle: string } }[];
    };
    return webhooks.map(({ clientConfig }) => decoded(clientConfig.caBundle).trim());
  };
  try {
    for (const { secret, configurations: trusting } of webhookServers) {
      const old = secret.includes("injector") ? pairs.injector : pairs["admission-server"];
      const renewed = await eventually(`${secret} is renewed`, async () => {
        const cert = await certificateOf(secret);
        return cert === undefined || cert === encoded(old.cert) ? undefined : decoded(cert).trim();
      });
      for (const { plural, name } of trusting) {
        const bundles = await bundlesOf(plural, name);
        assert.ok(bundles.length > 0);
        assert.equal(new Set(bundles), new Set([renewed]), name);
      }
    }
    assert.not.match(lines.join(""), "ERROR");
  } finally {
    await controller.close();
    own.close();
  }
});

/** An address of this machine that an EndpointSlice may have, which excludes loopback. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

test("change under a running injector without a single failed call", async () => {
  if (ownAddress === undefined) {
    console.log("skipped: this machine has no address but loopback");
    return;
  }
  const namespace = "system-called";
  const pair = await createServerCertificate({
    commonName: "kuma-injector",
    hosts: [`kuma-injector.${namespace}.svc`],
    now: nineYearsAgo(),
  });
  const injector = await startInjector({
    certificate: pair,
    env: { KUMA_INJECTOR_WEBHOOK_SERVER_ADDRESS: "0.0.0.0" },
  });
  const rule = { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] };
  const service = { namespace, name: "kuma-injector", path: "/inject-sidecar", port: 443 };
  const { stored, start } = await installed(pair, {
    namespace,
    webhook: {
      ...webhook("kuma-injector.kuma.io", { service, caBundle: encoded(pair.cert) }),
      rules: [rule],
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "called-demo" } },
      failurePolicy: "Fail",
    },
    // Longer than this test's kubelet and the injector take to notice a change.
    times: { retire: 6_000 },
  });
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "called-demo" } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: service.name, namespace },
      spec: { ports: [{ name: "https", port: 443, targetPort: injector.port }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "kuma-injector", namespace, labels: { "kubernetes.io/service-name": service.name } },
      addressType: "IPv4",
      endpoints: [{ addresses: [ownAddress], conditions: { ready: true } }],
      ports: [{ name: "https", port: injector.port, protocol: "TCP" }],
    },
  ]);
  await whenDefaultAccount(cluster, "called-demo");
  const create = async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { generateName: "web-" },
      spec: { containers: [{ name: "web", image: "web:1" }] },
    };
    const { status, body } = await cluster.request("POST", "/api/v1/namespaces/called-demo/pods?dryRun=All", pod);
    return { status, text: JSON.stringify(body) };
  };
  try {
    await eventually("the webhook is called", async () => (await create()).text.includes("kuma-sidecar"));
    const controller = start();
    const done = new AbortController();
    let delivered = pair.cert;
    /** Brings the Secret to the injector, as kubelet does. */
    const kubelet = (async () => {
      while (!done.signal.aborted) {
        const { "tls.crt": cert = "", "tls.key": key = "" } = await stored();
        if (cert !== delivered) injector.replace({ cert, key });
        delivered = cert;
        await sleep(200, done.signal).catch(() => undefined);
      }
    })();
    try {
      const failures: string[] = [];
      let calls = 0;
      await eventually("the renewal is over", async () => {
        const { status, text } = await create();
        calls += 1;
        if (status !== 201 || !text.includes("kuma-sidecar")) failures.push(`${status} ${text}`);
        return controller.log().includes("is renewed\t");
      });
      assert.equal(failures, [], `of ${calls} calls`);
      assert.match(injector.output(), "presenting a new certificate");
      assert.ok(calls > 20, `${calls} calls`);
    } finally {
      done.abort();
      await kubelet;
      await controller.close();
    }
  } finally {
    await injector.end();
  }
});

test.run();
