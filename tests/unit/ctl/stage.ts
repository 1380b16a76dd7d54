import fs from "node:fs";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { apiHandler } from "../../../src/cp/api/handler.js";
import { specChecks } from "../../../src/cp/checks/spec-checks.js";
import { kumactl } from "../../../src/ctl/program.js";
import { runProgram } from "../../../src/lib/cli.js";
import { createLogger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { startHttpServer } from "../../../src/net/http-server.js";
import { registry as ours, type Registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Store } from "../../../src/store/store.js";
import { authorityOptions } from "../../support/authorities.js";
import { golden as goldenOf } from "../../support/golden.js";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Invocation {
  readonly stdin?: string;
  readonly color?: boolean;
  readonly registry?: Registry;
}

/** A home directory of its own with kumactl in it. */
export function createHome() {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "kumactl-test-"));
  const config = path.join(home, ".kumactl", "config");
  return {
    path: home,
    config,
    file(name: string, content: string): string {
      const file = path.join(home, name);
      fs.writeFileSync(file, content);
      return file;
    },
    pointTo(url: string): void {
      fs.mkdirSync(path.dirname(config), { recursive: true });
      fs.writeFileSync(
        config,
        `contexts: [{name: c, controlPlane: p}]\ncontrolPlanes: [{name: p, coordinates: {apiServer: {url: "${url}"}}}]\ncurrentContext: c\n`,
      );
    },
    async run(
      words: readonly string[],
      { stdin = "", color = false, registry = ours }: Invocation = {},
    ): Promise<Outcome> {
      let out = "";
      let err = "";
      const code = await runProgram(kumactl(registry), words, {
        stdin: Readable.from(stdin === "" ? [] : [stdin]),
        stdout: { write: (text) => (out += text) },
        stderr: { write: (text) => (err += text) },
        env: { HOME: home },
        color,
      });
      return { code, out, err };
    },
    remove: () => fs.rmSync(home, { recursive: true, force: true }),
  };
}

export interface ControlPlane {
  readonly url: string;
  readonly store: Store;
  close(): Promise<void>;
}

/** The real HTTP API over a memory store that holds the default mesh. */
export async function startControlPlane(
  options: { readonly registry?: Registry; readonly readOnly?: boolean; readonly catalogue?: unknown } = {},
): Promise<ControlPlane> {
  const { registry = ours, readOnly = false, catalogue = {} } = options;
  const store = createMemoryStore(registry);
  await store.create({ type: "Mesh", mesh: "default", name: "default", spec: { mtls: { ca: { builtin: {} } } } });
  const logger = createLogger({ name: "test", level: "off" });
  const guard = createSiteGuard({ allowed: () => false, advertisedHostname: "localhost" });
  const handler = apiHandler({
    registry,
    checks: specChecks(() => undefined),
    store,
    guard,
    logger,
    version: "1.2.3",
    readOnly,
    catalogue,
    config: {},
    ...authorityOptions(store),
  });
  const server = await startHttpServer({ port: 0, host: "127.0.0.1", setting: "none", layers: [], handler, logger });
  return { url: `http://127.0.0.1:${server.port}`, store, close: () => server.close() };
}

/** A server that answers as the test says. */
export async function startServer(listener: RequestListener): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

/** A stored text of kumactl's. */
export const golden = (name: string, actual: string) => goldenOf(path.join("kumactl", name), actual);
