import { spawn } from "node:child_process";
import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import { eventually } from "../support/eventually.js";
import { kubeconfigText } from "./credentials.js";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed JSON, or text when it is none. */
  readonly body: unknown;
}

export interface RequestOptions {
  /** Instead of the administrator's. */
  readonly token?: string;
  /** `application/json` by default; a patch needs another one. */
  readonly contentType?: string;
}

export interface KubectlOptions {
  readonly input?: string;
  /** Path of a kubeconfig instead of the administrator's. */
  readonly kubeconfig?: string;
  readonly deadlineMs?: number;
}

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An API server and how to talk to it. */
export interface Cluster {
  /** Reachable from the test: `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** The API server's CA certificate, PEM. */
  readonly authority: string;
  /** The administrator's bearer token. */
  readonly token: string;
  /** The path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Output of a kubectl command; throws with what it printed when it fails. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<string>;
  /** As `kubectl`, for commands that may fail. */
  tryKubectl(args: readonly string[], options?: KubectlOptions): Promise<ProgramResult>;
  /** Applies objects by kubectl, server-side: YAML, or objects. */
  apply(objects: string | readonly object[]): Promise<void>;
  /** One request as the administrator or with another token. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
  /** A token of a ServiceAccount, by TokenRequest. */
  accountToken(namespace: string, name: string, spec?: TokenRequestSpec): Promise<string>;
  /** Writes a kubeconfig with this token. @param url of a proxy in front of the API server, for instance */
  writeKubeconfig(token: string, url?: string): string;
}

/** The spec of a TokenRequest. */
export interface TokenRequestSpec {
  readonly audiences?: readonly string[];
  /** At least 600. */
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: { readonly kind: string; readonly name: string; readonly uid: string };
}

/** Runs a program until it exits. The event loop stays free: a relay of this process may carry its connections. */
export function runProgram(command: readonly string[], input = "", deadlineMs = 180_000): Promise<ProgramResult> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { timeout: deadlineMs, killSignal: "SIGKILL" });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      texts[name] += chunk;
    });
  }
  // A program that exits without reading its input is reported by its status.
  child.stdin.on("error", () => {}).end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...texts }));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const requestMs = 30_000;

interface Access {
  readonly url: string;
  readonly authority: string;
  readonly token: string;
  /** A client certificate, for clusters that identify the administrator by one. */
  readonly client?: { readonly cert: string; readonly key: string };
  /** The command that is kubectl. */
  readonly kubectl: readonly string[];
  readonly kubeconfig: string;
  /** For kubeconfigs. */
  readonly directory: string;
}

/** How a test talks to an API server. */
export function clusterAt(access: Access): Cluster {
  const { url, authority, token, directory } = access;
  const agent = new https.Agent({ keepAlive: true, ca: authority, ...access.client });
  let written = 0;

  function request(method: string, place: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    const data = body === undefined ? undefined : JSON.stringify(body);
    const bearer = options.token ?? token;
    const headers = {
      accept: "application/json",
      ...(bearer === "" ? {} : { authorization: `Bearer ${bearer}` }),
      ...(data === undefined
        ? {}
        : {
            "content-type": options.contentType ?? "application/json",
            "content-length": String(Buffer.byteLength(data)),
          }),
    };
    return new Promise((resolve, reject) => {
      const sent = https.request(new URL(place, url), { method, headers, agent, timeout: requestMs }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed(text) });
        });
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${place}: no answer in ${requestMs / 1000} s`)));
      sent.on("error", reject);
      sent.end(data);
    });
  }

  const tryKubectl: Cluster["tryKubectl"] = (args, { input = "", kubeconfig = access.kubeconfig, deadlineMs } = {}) =>
    runProgram([...access.kubectl, `--kubeconfig=${kubeconfig}`, ...args], input, deadlineMs);

  const kubectl: Cluster["kubectl"] = async (args, options) => {
    const { status, stdout, stderr } = await tryKubectl(args, options);
    if (status !== 0)
      throw new Error(`kubectl ${args.join(" ")} failed (${status}): ${stderr.trim() || stdout.trim()}`);
    return stdout;
  };

  return {
    url,
    authority,
    token,
    kubeconfig: access.kubeconfig,
    request,
    tryKubectl,
    kubectl,
    async apply(objects) {
      const list = { apiVersion: "v1", kind: "List", items: objects };
      const input = typeof objects === "string" ? objects : JSON.stringify(list);
      await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], { input });
    },
    async accountToken(namespace, name, spec = {}) {
      const place = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
      const { status, body: answer } = await request("POST", place, body);
      const issued = (answer as { status?: { token?: string } }).status?.token;
      if (issued === undefined) throw new Error(`POST ${place}: ${status} ${JSON.stringify(answer)}`);
      return issued;
    },
    writeKubeconfig(bearer, server = url) {
      const file = path.join(directory, `test-${++written}.kubeconfig`);
      fs.writeFileSync(file, kubeconfigText(server, authority, bearer), { mode: 0o600 });
      return file;
    },
  };
}

/** Waits until the API server says that it is ready. @param dead says why waiting is pointless, if it is */
export async function whenReady({ request }: Cluster, dead: () => string | undefined): Promise<void> {
  const outcome = await eventually(
    "the API server is ready",
    async () => {
      const reason = dead();
      if (reason !== undefined) return { reason };
      return (await request("GET", "/readyz")).status === 200 && { reason: undefined };
    },
    60_000,
  );
  if (outcome.reason !== undefined) throw new Error(outcome.reason);
}

/** Waits until pods can be created in a namespace: they need its ServiceAccount. */
export function whenDefaultAccount({ request }: Cluster, namespace = "default"): Promise<unknown> {
  const place = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  return eventually(
    `${namespace} has its ServiceAccount`,
    async () => (await request("GET", place)).status === 200,
    60_000,
  );
}
