import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { startControlPlane } from "../../src/cp/run.js";
import { readSettings } from "../../src/cp/settings.js";
import { createLogger } from "../../src/lib/logger.js";
import type { Registry } from "../../src/resources/registry.js";
import { createHome } from "../unit/ctl/stage.js";
import { anyPorts, type Running, startProgram } from "./executable.js";
import { freePort } from "./ports.js";

/** A control plane with additional kinds in this process, with sidecars and a kumactl for it. */
export interface ComposedMesh {
  readonly api: string;
  /** Starts the real kuma-dp with its Envoy. Returns a client of Envoy's admin interface. */
  sidecar(name: string): Promise<(target: string) => Promise<string>>;
  /** Runs kumactl and returns its output; throws when it fails. */
  kumactl(...words: string[]): Promise<string>;
  /** Writes resources to a file and applies it with kumactl. */
  apply(...resources: readonly unknown[]): Promise<string>;
  close(): Promise<void>;
}

type Kinds = NonNullable<Parameters<typeof startControlPlane>[3]>;

export async function openComposedMesh(kinds: Kinds & { readonly registry: Registry }): Promise<ComposedMesh> {
  const { settings } = readSettings(undefined, anyPorts);
  const logger = createLogger({ name: "kuma-cp", level: "off" });
  const cp = await startControlPlane(settings, logger, new AbortController().signal, kinds);
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-composed-"));
  const home = createHome();
  const api = `http://127.0.0.1:${cp.ports.api}`;
  home.pointTo(api);
  const sidecars: Running[] = [];

  async function kumactl(...words: string[]): Promise<string> {
    const { code, out, err } = await home.run(words, { registry: kinds.registry });
    if (code !== 0) throw new Error(`kumactl ${words.join(" ")}: ${err}`);
    return out;
  }

  return {
    api,
    async sidecar(name) {
      const admin = await freePort();
      const tokens = `http://127.0.0.1:${cp.ports.localTokens}/tokens`;
      const answer = await fetch(tokens, { method: "POST", body: JSON.stringify({ name, mesh: "default" }) });
      const token = path.join(temporary, `${name}.token`);
      fs.writeFileSync(token, await answer.text());
      sidecars.push(
        startProgram("kuma-dp", ["run", `--admin-port=${admin}`], {
          KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: `http://127.0.0.1:${cp.ports.bootstrap}`,
          KUMA_DATAPLANE_NAME: name,
          KUMA_DATAPLANE_MESH: "default",
          KUMA_DATAPLANE_DRAIN_TIME: "1s",
          KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: token,
          TMPDIR: temporary,
        }),
      );
      return async (target) => (await fetch(`http://127.0.0.1:${admin}${target}`)).text();
    },
    kumactl,
    apply: (...resources) =>
      kumactl("apply", "-f", home.file("resources.yaml", resources.map((one) => JSON.stringify(one)).join("\n---\n"))),
    async close() {
      await Promise.all(sidecars.map((sidecar) => sidecar.stop()));
      await cp.close();
      home.remove();
      fs.rmSync(temporary, { recursive: true, force: true });
    },
  };
}
