import { generateKeyPairSync, randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";

/** A user of the API server by a bearer token of its own. */
interface User {
  readonly name: string;
  readonly groups?: readonly string[];
}

const nodeName = "node-1";

/** The administrator and the components. */
const users = {
  admin: { name: "admin", groups: ["system:masters"] },
  controllers: { name: "system:kube-controller-manager" },
  scheduler: { name: "system:kube-scheduler" },
  proxy: { name: "system:kube-proxy" },
  kubelet: { name: `system:node:${nodeName}`, groups: ["system:nodes"] },
} as const satisfies Readonly<Record<string, User>>;

export type UserName = keyof typeof users;

export interface Credentials {
  /** Issues certificates for whoever should be trusted like the API server. */
  readonly authority: IssuedCertificate;
  readonly tokens: Readonly<Record<UserName, string>>;
  /** Paths of PEM files, and of the file with the tokens of the users. */
  readonly files: Readonly<
    Record<"authority" | "certificate" | "key" | "accountKey" | "accountPublicKey" | "tokens", string>
  >;
}

/** The text of a kubeconfig file. */
export function kubeconfigText(url: string, authorityPem: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "test",
        cluster: { server: url, "certificate-authority-data": Buffer.from(authorityPem).toString("base64") },
      },
    ],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}

/** Makes what the components of one cluster trust each other by, with files in `directory`. */
export function makeCredentials(directory: string, addresses: readonly string[]): Credentials {
  const authority = issueCertificate({ name: "Kubernetes tests" });
  const names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
  const server = issueCertificate({ name: "kube-apiserver", by: authority, hosts: [...names, ...addresses] });
  const account = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const tokens = Object.fromEntries(Object.keys(users).map((user) => [user, randomBytes(16).toString("hex")]));
  const lines = Object.entries(users as Readonly<Record<string, User>>).map(([user, { name, groups = [] }]) => {
    return `${tokens[user]},${name},${user},"${groups.join(",")}"\n`;
  });
  const texts = {
    authority: authority.cert,
    certificate: server.cert,
    key: server.key,
    accountKey: account.privateKey,
    accountPublicKey: account.publicKey,
    tokens: lines.join(""),
  };
  const files = Object.fromEntries(Object.keys(texts).map((name) => [name, path.join(directory, `${name}.pem`)]));
  for (const [name, text] of Object.entries(texts)) fs.writeFileSync(files[name] ?? "", text, { mode: 0o600 });
  return { authority, tokens: tokens as Credentials["tokens"], files: files as Credentials["files"] };
}

export { nodeName };
