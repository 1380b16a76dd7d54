// A process with some of a storm's proxies: gets them by IPC, connects them all on "go", tells when each had what it wants.
import { ChannelCredentials } from "@grpc/grpc-js";
import { identityName } from "../../src/envoy/tls.js";
import { createProxy, type ProxyToken, type Servers, wanted } from "./storm-proxy.js";

export interface Share {
  readonly servers: Servers;
  readonly proxies: readonly ProxyToken[];
}

/** Times in milliseconds since "go". */
export type ClientReport =
  | { readonly kind: "ready" }
  | {
      readonly kind: "done";
      /** When each proxy had its certificate. */
      readonly certificates: readonly number[];
      /** When the last proxy had everything. */
      readonly complete: number;
      readonly cpuSeconds: number;
    }
  | { readonly kind: "failed"; readonly reason: string };

const tell = (report: ClientReport) => void process.send?.(report);

function prepare({ servers, proxies }: Share): () => void {
  const credentials = ChannelCredentials.createSsl(Buffer.from(servers.root));
  const certificates: number[] = [];
  let begun = 0;
  let cpu = process.cpuUsage();
  let missing = proxies.length * wanted.length;
  const simulated = proxies.map((proxy) =>
    createProxy(servers, credentials, proxy, {
      received(what) {
        const at = performance.now() - begun;
        if (what === identityName) certificates.push(at);
        missing -= 1;
        if (missing > 0) return;
        const { user, system } = process.cpuUsage(cpu);
        tell({ kind: "done", certificates, complete: at, cpuSeconds: (user + system) / 1e6 });
      },
      failed: (error) => tell({ kind: "failed", reason: `${proxy.name}: ${error.message}` }),
    }),
  );
  return () => {
    begun = performance.now();
    cpu = process.cpuUsage();
    for (const proxy of simulated) proxy.start();
  };
}

let go: (() => void) | undefined;
process.on("message", (message: Share | "go") => {
  if (message === "go") {
    go?.();
    return;
  }
  go = prepare(message);
  tell({ kind: "ready" });
});
