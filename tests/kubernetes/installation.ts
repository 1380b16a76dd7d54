import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { bin } from "../support/executable.js";
import { shellBlocks } from "../support/readme.js";
import { kitOrFail } from "./api-server.js";
import { type ProgramResult, runProgram } from "./cluster.js";
import { initStandIn, kumaImage } from "./kuma-image.js";
import { type Node, type NodeOptions, startNode } from "./node.js";

/** A node with our images, and a user at a terminal who has kubectl and kumactl. */
export interface Installation {
  readonly node: Node;
  /** Runs a script as that user would; throws with what it printed when a command fails. @returns its output */
  run(script: string): Promise<ProgramResult>;
  /** Runs the README's only block of commands that has this word, with the images that are here. */
  runReadme(word: string, replacements?: Readonly<Record<string, string>>): Promise<ProgramResult>;
  stop(): Promise<void>;
}

const scriptMs = 200_000;

/** The README names a registry of the user's; here the images are on the node. */
const images = `--dataplane-init-image ${initStandIn}`;

/** Starts a node with our images. Nothing is installed yet. Needs root. */
export async function startInstallation(options: NodeOptions = {}): Promise<Installation> {
  const { file } = await kumaImage();
  const node = await startNode({ controllers: "all", ...options, images: [file] });
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-user-"));
  const shim = (name: string, command: string) =>
    fs.writeFileSync(path.join(home, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  shim("kumactl", path.join(bin, "kumactl"));
  shim("kubectl", `${kitOrFail().components} kubectl`);

  async function run(script: string): Promise<ProgramResult> {
    const environment = [`PATH=${home}:/usr/bin:/bin`, `HOME=${home}`, `KUBECONFIG=${node.kubeconfig}`];
    const shell = ["env", "-i", "-C", home, ...environment, "bash", "-eo", "pipefail", "-c", script];
    const result = await runProgram(shell, "", scriptMs);
    if (result.status !== 0) throw new Error(`${script}\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  return {
    node,
    run,
    async runReadme(word, replacements = {}) {
      const [block, ...others] = shellBlocks("Kubernetes").filter((one) => one.includes(word));
      if (block === undefined || others.length > 0) throw new Error(`not one block of the README has "${word}"`);
      const all = [...Object.entries(replacements), ["--image-registry registry.example.com/mesh", images] as const];
      return run(all.reduce((text, [from, to]) => text.replaceAll(from, to), block));
    },
    async stop() {
      await node.stop();
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A Deployment of web servers that answer with their pods' names, and its Service. */
export const webApplication = (namespace: string, replicas: number, name = "web"): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/busybox:1
        command: [sh, -c, 'mkdir /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www']
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: {app: ${name}}, ports: [{port: 80, targetPort: 8080}]}
`;

/** Mutual TLS in the mesh "default", in which everybody may talk to everybody. */
export const mutualTls = (namespace: string): string => `
apiVersion: kuma.io/v1alpha1
kind: TrafficPermission
metadata: {name: everybody, namespace: ${namespace}}
mesh: default
spec:
  sources: [{match: {service: '*'}}]
  destinations: [{match: {service: '*'}}]
---
apiVersion: kuma.io/v1alpha1
kind: Mesh
metadata: {name: default}
spec: {mtls: {enabled: true, ca: {builtin: {}}}}
`;
