import tls from "node:tls";
import * as assert from "uvu/assert";
import { judgeCertificate } from "../../../src/kubernetes/diagnosis/certificate-trust.js";
import { neededPermissions, permissionText } from "../../../src/kubernetes/diagnosis/permissions.js";
import { presentedChain } from "../../../src/kubernetes/diagnosis/presented-chain.js";
import { registry } from "../../../src/resources/registry.js";
import { issueCertificate } from "../../support/certificates.js";
import { suite } from "../../support/suite.js";

const test = suite("what a control plane finds out about its installation on Kubernetes");

const host = "kuma-injector.kuma-system.svc";
const authority = issueCertificate({ name: "authority" });
const stranger = issueCertificate({ name: "stranger" });
const server = issueCertificate({ name: "server", by: authority, hosts: [host, "127.0.0.1"] });
const selfSigned = issueCertificate({ name: "self", hosts: [host] });

test("a certificate is trusted if the caBundle has it or its issuer, and it has the name", () => {
  for (const [chain, bundle, name] of [
    [server.cert, authority.cert, host],
    [server.cert, stranger.cert + authority.cert, host],
    [server.cert, authority.cert, "127.0.0.1"],
    [selfSigned.cert, selfSigned.cert, host],
  ] as const) {
    const judged = judgeCertificate(chain, bundle, name);
    assert.is(judged.problem, undefined);
    assert.ok(Date.parse(judged.notAfter ?? "") > Date.now());
  }
});

test("whatever a client would reject is a problem", () => {
  const problem = (chain: string, bundle: string, name = host) => judgeCertificate(chain, bundle, name).problem ?? "";
  assert.match(problem(server.cert, stranger.cert), /^no certificate in the caBundle has issued it$/);
  assert.match(problem(server.cert, authority.cert, "other.kuma-system.svc"), /^it is for other names than other\./);
  assert.match(problem(server.cert, authority.cert, "127.0.0.2"), /^it is for other names than 127\.0\.0\.2/);
  assert.match(problem("", authority.cert), /^there is no certificate in it$/);
  assert.match(problem(server.cert, ""), /^the caBundle is of no use: there is no certificate in it$/);
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  assert.match(problem(broken, authority.cert), /^a certificate in it can't be read/);
  assert.match(problem(server.cert, broken), /^the caBundle is of no use: a certificate in it can't be read/);
});

test("the chain that a server presents is read without trusting it, and a silent server is given up", async () => {
  const chained = server.cert + authority.cert;
  const listening = tls.createServer({ cert: chained, key: server.key }, (socket) => socket.end());
  listening.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const address = listening.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    const { chain = "" } = await presentedChain({ host: "127.0.0.1", port, servername: host }, 5_000);
    assert.is(judgeCertificate(chain, authority.cert, host).problem, undefined);
    assert.match(judgeCertificate(chain, stranger.cert, host).problem ?? "", /has issued it/);
  } finally {
    await new Promise((resolve) => listening.close(resolve));
  }
  const refused = await presentedChain({ host: "127.0.0.1", port, servername: "" }, 5_000);
  assert.match("reason" in refused ? refused.reason : "", /ECONNREFUSED/);
});

test("permissions are those of the printed roles, in words of kubectl", () => {
  const texts = neededPermissions(registry, "kuma-system").map(permissionText);
  assert.is(new Set(texts).size, texts.length);
  for (const text of [
    "watch pods",
    "create events.events.k8s.io",
    "update dataplanes.kuma.io/finalizers",
    'update validatingwebhookconfigurations.admissionregistration.k8s.io "kuma-validating-webhook-configuration"',
    "get secrets in namespace kuma-system",
  ]) {
    assert.ok(texts.includes(text), text);
  }
  assert.not.ok(texts.includes("get secrets"));
  assert.not.ok(texts.some((text) => /^(create|update|patch) trafficlogs/.test(text)));
});

test.run();
