import { rename, rm, writeFile } from "node:fs/promises";
import { list, text } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { command } from "../globals.js";

export const generateCertificate = command({
  path: "generate certificate",
  aliases: ["tls-certificate"],
  summary: "Generate a self-signed TLS certificate",
  details:
    "For the public Dataplane Token Server (--type server) and for those who may ask it for tokens (--type client).",
  examples: [
    "kumactl generate certificate --type server --cp-hostname cp.example.com --cert server.pem --key server.key",
  ],
  flags: {
    key: text("key", {
      aliases: ["key-file"],
      placeholder: "FILE",
      default: "key.pem",
      help: "where to write the private key",
    }),
    cert: text("cert", {
      aliases: ["cert-file"],
      placeholder: "FILE",
      default: "cert.pem",
      help: "where to write the certificate",
    }),
    type: text("type", {
      help: "who uses the certificate: client or server",
      required: true,
      choices: ["client", "server"],
    }),
    hostnames: list("cp-hostname", {
      placeholder: "host",
      help: "DNS name or IP address of the Control Plane, besides localhost",
    }),
  },
  async run({ flags: { key, cert, type, hostnames }, io }) {
    if (type !== "client" && type !== "server") throw UserError.of("certificate.type");
    if (type === "client" && hostnames.length > 0) throw UserError.of("certificate.hostname");
    const { createCertificate } = await import("../certificate.js");
    const pair = await createCertificate({ usage: type, hosts: hostnames, now: new Date() });
    await save(key, pair.key, 0o400);
    await save(cert, pair.cert, 0o644);
    io.stdout.write(`Certificates generated\nKey was saved in: ${key}\nCert was saved in: ${cert}\n`);
  },
});

/**
 * Writes a temporary file and renames it: an existing key is read-only, and a key must never be readable with a looser
 * mode.
 */
async function save(path: string, content: string, mode: number): Promise<void> {
  const beside = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(beside, content, { mode, flag: "wx" });
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw UserError.of("certificate.unwritable", { file: path, reason: error });
  }
}
