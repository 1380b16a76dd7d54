import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** A request as the API server's audit log has it. */
export interface Audited {
  readonly verb: string;
  readonly stage: string;
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code: number };
}

/** The API server's own log of the requests of one user. */
export interface AuditLog {
  /** What the API server has to be started with. */
  readonly flags: readonly string[];
  /** The requests since the last call that were answered; watches when they began. */
  take(): readonly Audited[];
  /** Deletes its files. */
  close(): void;
}

/** Prepares the log of the requests of a user. */
export function auditLog(user: string): AuditLog {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-audit-"));
  const policy = path.join(directory, "policy.json");
  const log = path.join(directory, "audit.log");
  fs.writeFileSync(
    policy,
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata", users: [user] }],
    }),
  );
  let position = 0;
  let rest = Buffer.alloc(0);

  /** The bytes since the last call. */
  function read(): Buffer {
    if (!fs.existsSync(log)) return Buffer.alloc(0);
    const file = fs.openSync(log, "r");
    const bytes = Buffer.alloc(Math.max(fs.fstatSync(file).size - position, 0));
    const length = fs.readSync(file, bytes, 0, bytes.length, position);
    fs.closeSync(file);
    position += length;
    return bytes.subarray(0, length);
  }

  return {
    flags: [
      `--audit-policy-file=${policy}`,
      `--audit-log-path=${log}`,
      "--audit-log-mode=blocking",
      // Larger than any log of ours: a rotated file would be read from its middle.
      "--audit-log-maxsize=10000",
    ],
    take() {
      const text = Buffer.concat([rest, read()]);
      const end = text.lastIndexOf("\n") + 1;
      rest = text.subarray(end);
      const lines = text.subarray(0, end).toString("utf8").split("\n");
      const events = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Audited);
      return events.filter(({ verb, stage }) => (verb === "watch") === (stage === "ResponseStarted"));
    },
    close: () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}
