import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { eventually } from "../support/eventually.js";
import { kitOrFail } from "./api-server.js";
import { type Cluster, clusterAt, type ProgramResult, runProgram, whenDefaultAccount, whenReady } from "./cluster.js";
import { type Component, lastLines } from "./component.js";
import { apiServerServiceAddress, startControlPlane } from "./control-plane.js";
import { makeCredentials, nodeName } from "./credentials.js";
import { compact } from "./etcd.js";
import { existingCluster, usesExistingCluster } from "./existing-cluster.js";
import { kubeletConfiguration, proxyConfiguration } from "./node-configuration.js";
import { type NodeNetwork, nodeAddress, nodeNetwork } from "./node-network.js";

export interface NodeOptions {
  /** `trimmed` has the controllers that most tests need and is ready in half the time. */
  readonly controllers?: "trimmed" | "all";
  /** CoreDNS; true by default. */
  readonly dns?: boolean;
  /** How kube-proxy carries connections to Services; nftables by default. */
  readonly proxyMode?: "nftables" | "iptables";
  readonly apiServerFlags?: readonly string[];
  readonly controllerFlags?: readonly string[];
  /** Archives of images that pods will use. */
  readonly images?: readonly string[];
}

/** The parts of a node that is not somebody's existing cluster. */
export interface OwnNode {
  /** The ID of its first process: with it the node ends. */
  readonly pid: number;
  readonly components: Readonly<
    Record<"etcd" | "apiServer" | "controllers" | "scheduler" | "kubelet" | "proxy" | "containerd", Component>
  >;
  readonly network: NodeNetwork;
  /** Its cgroup, below each hierarchy. */
  readonly cgroup: string;
  /** Its files. */
  readonly directory: string;
  compact(): Promise<string>;
}

/** A cluster of one node, on which pods run. */
export interface Node extends Cluster {
  /** Throws on an existing cluster, which has none of this. */
  readonly own: OwnNode;
  /** Loads an image archive, such as `kumaImage` or docker writes. */
  importImage(file: string): Promise<void>;
  /** Runs a program inside the node: its file system, network and processes. */
  exec(command: readonly string[], input?: string): Promise<ProgramResult>;
  /** Lets pods reach a server of this process as `address:port`. @returns the address */
  expose(port: number, localPort: number): Promise<string>;
  /** Runs a command in a container. */
  execInPod(namespace: string, pod: string, command: readonly string[], container?: string): Promise<ProgramResult>;
  ready(): Promise<void>;
  stop(): Promise<void>;
}

const source = path.join(import.meta.dirname, "node");

let started = 0;

/** Starts the machine. @returns its outermost process and the ID of the first process inside */
async function startMachine(directory: string, cgroup: string): Promise<{ machine: ChildProcess; pid: number }> {
  const kit = kitOrFail();
  const words = [directory, kit.root, kit.components, path.join(source, "config"), cgroup];
  // A session of its own: when this process group is killed, it cleans up.
  const machine = spawn("bash", [path.join(source, "up.sh"), ...words], { stdio: "pipe", detached: true });
  machine.stdin.on("error", () => {});
  let text = "";
  for (const stream of [machine.stdout, machine.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const up = () => /^up (\d+)$/m.exec(text)?.[1];
  await eventually("the node's namespaces are there", () => up() !== undefined || machine.exitCode !== null).catch(
    (error: Error) => {
      machine.stdin.end();
      throw error;
    },
  );
  const pid = up();
  if (pid === undefined) throw new Error(`the node's namespaces could not be made: ${text.trim()}`);
  return { machine, pid: Number(pid) };
}

/** Runs commands in all namespaces of the node. */
const inside = (pid: number) => ["nsenter", "--target", String(pid), "-n", "-m", "-p", "-u", "-i", "--"];

/** Starts a node with its control plane and waits until pods can be created. Needs root. */
export async function startNode(options: NodeOptions = {}): Promise<Node> {
  if (usesExistingCluster) return existingNode();
  const kit = kitOrFail();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-node-"));
  const cgroup = `kuma-node-${process.pid}-${++started}`;
  const { machine, pid } = await startMachine(directory, cgroup);
  const ended = once(machine, "exit");
  const enter = inside(pid);
  const running: Component[] = [];
  let network: NodeNetwork | undefined;

  async function stop(): Promise<void> {
    await network?.stop();
    machine.stdin?.end();
    await ended;
  }

  try {
    const addresses = ["127.0.0.1", nodeAddress, apiServerServiceAddress];
    const credentials = makeCredentials(directory, addresses);
    const controlPlane = startControlPlane({
      program: "/opt/kubernetes",
      directory,
      credentials,
      wrap: (command) => [...enter, ...command],
      listen: "0.0.0.0",
      address: nodeAddress,
      ports: { api: 6443, etcd: 2379, peers: 2380, controllers: 10257 },
      apiServerFlags: options.apiServerFlags,
      controllerFlags: options.controllerFlags,
      allControllers: options.controllers === "all",
    });
    const { etcd, apiServer, kubeconfig, start } = controlPlane;
    running.push(etcd, apiServer);
    const containerd = controlPlane.run("containerd", ["containerd"]);
    running.push(containerd);
    network = nodeNetwork(pid, directory);
    const port = await network.reach("127.0.0.1", 6443);
    const url = `https://127.0.0.1:${port}`;
    const admin = path.join(directory, "admin.kubeconfig");
    const cluster = clusterAt({
      url,
      authority: credentials.authority.cert,
      token: credentials.tokens.admin,
      kubectl: [kit.components, "kubectl"],
      kubeconfig: admin,
      directory,
    });
    fs.renameSync(cluster.writeKubeconfig(credentials.tokens.admin), admin);

    const exec: Node["exec"] = (command, input) => runProgram([...enter, ...command], input);
    const importImage: Node["importImage"] = async (file) => {
      // Through a pipe: the node doesn't see this machine's files.
      const script = 'exec 3<"$1"; shift; exec "$@" <&3';
      const words = ["bash", "-c", script, "bash", file, ...enter, "ctr", "-n", "k8s.io", "images", "import", "-"];
      const { status, stderr } = await runProgram(words);
      if (status !== 0) throw new Error(`${file} could not be imported: ${stderr}`);
    };
    const imported = (async () => {
      await eventually("containerd serves", async () => (await exec(["ctr", "version"])).status === 0, 60_000);
      for (const file of [...Object.values(kit.images as Record<string, string>), ...(options.images ?? [])]) {
        await importImage(file);
      }
    })();
    // Its failure is met below, after that of the API server, which says more.
    imported.catch(() => {});

    const ready = () =>
      whenReady(cluster, () => {
        const dead = [etcd, apiServer].filter((one) => !one.running);
        return dead.length === 0 ? undefined : `ended: ${dead.map((one) => lastLines(one)).join("\n  ")}`;
      });
    await ready();
    const dns =
      options.dns === false
        ? undefined
        : cluster.apply(fs.readFileSync(path.join(source, "config", "dns.yaml"), "utf8"));
    dns?.catch(() => {});
    const controllers = controlPlane.startControllers();
    const schedulerFlags = [
      `--kubeconfig=${kubeconfig("scheduler")}`,
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
    ];
    const scheduler = start("kube-scheduler", schedulerFlags);
    const write = (name: string, configuration: object) => {
      const file = path.join(directory, name);
      fs.writeFileSync(file, JSON.stringify(configuration));
      return `--config=${file}`;
    };
    const kubelet = start("kubelet", [
      write("kubelet.json", kubeletConfiguration(cgroup)),
      `--kubeconfig=${kubeconfig("kubelet")}`,
      `--node-ip=${nodeAddress}`,
      `--hostname-override=${nodeName}`,
    ]);
    const proxyFile = proxyConfiguration(options.proxyMode ?? "nftables", kubeconfig("proxy"));
    const proxy = start("kube-proxy", [write("kube-proxy.json", proxyFile)]);
    running.push(controllers, scheduler, kubelet, proxy);
    await imported;
    await dns;
    await whenDefaultAccount(cluster);
    await eventually(
      "the node is Ready",
      async () => {
        const dead = running.filter((one) => !one.running);
        if (dead.length > 0) throw new Error(`${dead.map(({ name }) => name).join(", ")} ended`);
        return isReady((await cluster.request("GET", `/api/v1/nodes/${nodeName}`)).body);
      },
      60_000,
    );
    const theNetwork = network;
    return {
      ...cluster,
      own: {
        pid,
        components: { etcd, apiServer, controllers, scheduler, kubelet, proxy, containerd },
        network,
        cgroup,
        directory,
        compact: () => compactInside(theNetwork),
      },
      importImage,
      exec,
      async expose(port, localPort) {
        await theNetwork.expose(port, localPort);
        return nodeAddress;
      },
      execInPod: execBy(cluster),
      ready,
      stop,
    };
  } catch (error) {
    const logs = running.map((one) => lastLines(one)).join("\n  ");
    await stop();
    throw new Error(`the node did not start: ${(error as Error).message}\n  ${logs}`);
  }
}

/** Whether a node or pod has the condition Ready. */
function isReady(object: unknown): boolean {
  const { status } = object as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
}

async function compactInside(network: NodeNetwork): Promise<string> {
  return compact(await network.reach("127.0.0.1", 2379));
}

const execBy = ({ tryKubectl }: Cluster): Node["execInPod"] => {
  return (namespace, pod, command, container) =>
    tryKubectl(["exec", "-n", namespace, pod, ...(container === undefined ? [] : ["-c", container]), "--", ...command]);
};

/** Somebody's cluster: it stays as it is, and nothing of its nodes can be touched. */
async function existingNode(): Promise<Node> {
  const cluster = await existingCluster();
  const refuse = (what: string) => {
    throw new Error(`${what} is only possible on a node of the test's own, not with USE_EXISTING_CLUSTER=true`);
  };
  return {
    ...cluster,
    get own() {
      return refuse("reaching into the node");
    },
    importImage: async (file) =>
      console.log(`with USE_EXISTING_CLUSTER=true the cluster must have the image in ${file}`),
    exec: async () => refuse("running a program in the node"),
    expose: async () => refuse("exposing a server of the test"),
    execInPod: execBy(cluster),
    ready: () => whenReady(cluster, () => undefined),
    stop: async () => {},
  };
}
