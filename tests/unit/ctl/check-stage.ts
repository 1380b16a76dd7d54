import * as assert from "uvu/assert";
import { categoriesFor } from "../../../src/ctl/check/categories.js";
import type { CheckResult } from "../../../src/ctl/check/check.js";
import { runChecks } from "../../../src/ctl/check/check.js";
import { askCluster, type Cluster } from "../../../src/ctl/check/cluster.js";
import type { CheckContext, ControlPlane, Machine, Scope } from "../../../src/ctl/check/context.js";
import type { ProxyState } from "../../../src/ctl/check/proxy.js";
import type { ControlPlaneStatus } from "../../../src/ctl/check/status.js";

export const now = new Date("2026-01-01T12:00:00Z");

/** This long before now, or after it when negative. */
export const ago = (seconds: number): Date => new Date(now.getTime() - seconds * 1000);

/** A control plane's status that is well, except for what is said. */
export function status(more: Partial<ControlPlaneStatus> = {}): ControlPlaneStatus {
  return {
    store: { type: "postgres", problem: undefined },
    sdsCertificate: { notBefore: ago(3600), notAfter: ago(-3600 * 24 * 3650), setting: undefined },
    refusals: [],
    kubernetes: undefined,
    ...more,
  };
}

/** A context in which all is well, except for what is said. */
export function contextWith({
  version = "0.3.0",
  scope = {},
  machine = {},
  controlPlane = {},
  cluster = {},
}: {
  readonly version?: string;
  readonly scope?: Partial<Scope>;
  readonly machine?: Partial<Machine>;
  readonly controlPlane?: Partial<ControlPlane>;
  readonly cluster?: Partial<Cluster>;
} = {}): CheckContext {
  return {
    version,
    scope: { pre: false, mesh: undefined, token: undefined, ...scope },
    machine: {
      env: {},
      glibc: () => "2.36",
      findEnvoy: () => "/opt/kuma/bin/envoy",
      diagnoseEnvoy: async () => undefined,
      tryPort: async () => undefined,
      readToken: () => "",
      now: () => now,
      ...machine,
    },
    controlPlane: {
      address: async () => new URL("http://localhost:5681"),
      isLocal: async () => true,
      index: async () => ({ status: 200, tagline: "Kuma", version: "0.3.0", ahead: 0 }),
      settings: async () => ({ apiServer: { interface: "127.0.0.1", port: 5681 } }),
      status: async () => status(),
      meshes: async () => [{ name: "default", mtls: true }],
      authorities: async () => [{ mesh: "default", state: "active" }],
      proxies: async () => [],
      problems: async () => [],
      unregistered: async () => [],
      ...controlPlane,
    },
    // Without credentials, unless something else is said.
    cluster: { ...askCluster(undefined, {}), ...cluster },
  };
}

/** A proxy of the mesh "default" that is online with a fresh certificate, except for what is said. */
export function proxy(name: string, more: Partial<ProxyState> = {}): ProxyState {
  return {
    mesh: "default",
    name,
    mtls: true,
    connection: "online",
    connected: ago(3600),
    streams: [ago(3600)],
    disconnected: undefined,
    refused: [],
    down: [],
    unanswered: undefined,
    certificate: { taken: ago(3600), expires: ago(-3600 * 24) },
    refusal: undefined,
    ...more,
  };
}

export async function resultsOf(context: CheckContext): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of runChecks(categoriesFor(context.scope), context)) results.push(result);
  return results;
}

/** What one check found, undefined when it does not apply. */
export async function outcomeOf(id: string, context: CheckContext): Promise<CheckResult["outcome"] | undefined> {
  return (await resultsOf(context)).find(({ check }) => check.id === id)?.outcome;
}

/** The result with its reasons and its fix in one text, or with its detail. */
export async function found(id: string, context: CheckContext): Promise<string> {
  const outcome = await outcomeOf(id, context);
  if (outcome === undefined) return "does not apply";
  switch (outcome.result) {
    case "success":
      return `success: ${outcome.detail ?? ""}`;
    case "skipped":
      return outcome.reason;
    default:
      return `${outcome.result}: ${outcome.reasons.join("|")} FIX ${outcome.fix}`;
  }
}

/** What the check of this id is to find in a context. */
export type Case = readonly [what: string, id: string, context: CheckContext, expected: RegExp];

/** What does not answer may live and serve: no fix of any check of these contexts tells to remove something. */
export async function assertHarmless(cases: readonly Case[]): Promise<void> {
  for (const [what, , context] of cases) {
    for (const { check, outcome } of await resultsOf(context)) {
      if (outcome.result !== "warning" && outcome.result !== "error") continue;
      assert.not.match(outcome.fix, /\b(delete|remove|drop|uninstall|rm|truncate)\b/i, `${check.id}: ${what}`);
    }
  }
}

/** One problem that the control plane finds in the mesh "default". */
export const problem =
  (code: string, message: string, ...dataplanes: readonly string[]) =>
  async () => [{ mesh: "default", code, message, dataplanes }];
