import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { findKit } from "../../scripts/kubernetes/kit.mjs";
import { type Cluster, clusterAt, runProgram } from "./cluster.js";

/** Whether tests use the cluster of the current kubeconfig context instead of one of their own. */
export const usesExistingCluster = process.env.USE_EXISTING_CLUSTER === "true";

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }];
  readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }];
}

/** kubectl of the kit, else the one in PATH. */
export function kubectlCommand(): readonly string[] {
  const { kit } = findKit();
  return kit === undefined ? ["kubectl"] : [kit.components, "kubectl"];
}

/** The cluster that kubectl talks to on this machine: KUBECONFIG, or ~/.kube/config. */
export async function existingCluster(): Promise<Cluster> {
  const kubectl = kubectlCommand();
  const environment = ["env", `HOME=${os.homedir()}`, `KUBECONFIG=${process.env.KUBECONFIG ?? ""}`];
  const view = await runProgram([
    ...environment,
    ...kubectl,
    "config",
    "view",
    "--raw",
    "--minify",
    "--flatten",
    "-o",
    "json",
  ]);
  if (view.status !== 0) throw new Error(`USE_EXISTING_CLUSTER=true, but there is no current context: ${view.stderr}`);
  const { clusters, users } = JSON.parse(view.stdout) as Kubeconfig;
  const [{ cluster }] = clusters;
  const [{ user }] = users;
  const decoded = (text: string | undefined) => Buffer.from(text ?? "", "base64").toString();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-kubernetes-"));
  const kubeconfig = path.join(directory, "admin.kubeconfig");
  fs.writeFileSync(kubeconfig, view.stdout, { mode: 0o600 });
  process.once("exit", () => fs.rmSync(directory, { recursive: true, force: true }));
  const cert = decoded(user["client-certificate-data"]);
  return clusterAt({
    url: cluster.server ?? "",
    authority: decoded(cluster["certificate-authority-data"]),
    token: user.token ?? "",
    ...(cert === "" ? {} : { client: { cert, key: decoded(user["client-key-data"]) } }),
    kubectl,
    kubeconfig,
    directory,
  });
}
