import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { eventually } from "./eventually.js";
import { startProgram } from "./executable.js";

export interface Finding {
  readonly id: string;
  readonly result: "success" | "warning" | "error" | "skipped";
  readonly detail?: string;
  readonly reason?: string;
  readonly fix?: string;
}

/**
 * Runs the build's `kumactl check` against one control plane after the other. `close` removes its files.
 * @param env of kumactl, besides this process's
 */
export function openCheck(env: Readonly<Record<string, string>> = {}) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "kumactl-check-"));

  async function findings(address: string, args: readonly string[] = []): Promise<readonly Finding[]> {
    const config = path.join(home, `config-${Buffer.from(address).toString("hex")}`);
    const controlPlanes = [{ name: "c", coordinates: { apiServer: { url: address } } }];
    const contexts = [{ name: "c", controlPlane: "c" }];
    fs.writeFileSync(config, JSON.stringify({ contexts, controlPlanes, currentContext: "c" }));
    // Asynchronous, because servers in this process may have to answer.
    const running = startProgram("kumactl", ["--config-file", config, "check", "-o", "json", ...args], env);
    await running.ended;
    const document: { categories: { checks: Finding[] }[] } = JSON.parse(running.output());
    return document.categories.flatMap(({ checks }) => checks);
  }

  /** The result of one check; undefined when it does not apply. */
  const find = async (address: string, id: string, args: readonly string[] = []): Promise<Finding | undefined> =>
    (await findings(address, args)).find((one) => one.id === id);

  return {
    findings,
    find,
    /** Waits until a check has this result, and returns its outcome. A failure names what else is wrong. */
    until: (address: string, id: string, result: Finding["result"], deadlineMs?: number): Promise<Finding> =>
      eventually(
        `${id}: ${result}`,
        async () => {
          const all = await findings(address);
          const finding = all.find((one) => one.id === id);
          if (finding?.result === result) return finding;
          const others = all.filter((one) => one.id !== id && !["success", "skipped"].includes(one.result));
          throw new Error(
            [...(finding === undefined ? [] : [finding]), ...others]
              .map((one) => `${one.id} ${one.result}: ${one.reason ?? ""}`)
              .join("; "),
          );
        },
        deadlineMs,
      ),
    close: () => fs.rmSync(home, { recursive: true, force: true }),
  };
}
