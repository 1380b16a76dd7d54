import fs from "node:fs";
import { Agent, request } from "node:https";
import os from "node:os";
import path from "node:path";
import { type IssuedCertificate, issueCertificate } from "./certificates.js";
import { eventually } from "./eventually.js";
import { type Running, startProgram } from "./executable.js";

/** A directory as kubelet mounts a Secret into a pod: `..data` is a link that is replaced as a whole. */
export function mountedSecret() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-secret-"));
  const data = path.join(directory, "..data");
  let generation = 0;
  const put = (files: Readonly<Record<string, string>>) => {
    const version = `..${generation++}`;
    fs.mkdirSync(path.join(directory, version));
    for (const [name, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(directory, version, name), text);
      const link = path.join(directory, name);
      if (fs.lstatSync(link, { throwIfNoEntry: false }) === undefined) fs.symlinkSync(`..data/${name}`, link);
    }
    fs.symlinkSync(version, `${data}_tmp`);
    fs.renameSync(`${data}_tmp`, data);
  };
  return { directory, put, remove: () => fs.rmSync(directory, { recursive: true, force: true }) };
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** A kuma-injector of this build on a free port of 127.0.0.1, and a client that verifies its certificate. */
export interface StartedInjector extends Running {
  readonly port: number;
  /** The certificate that clients trust. */
  readonly certificate: IssuedCertificate;
  readonly certDir: string;
  /** Replaces the certificate's files, as kubelet does. */
  readonly replace: (certificate: IssuedCertificate) => void;
  readonly ask: (ask: Ask, ca?: string) => Promise<Reply>;
  /** Ends the process and removes the files. */
  readonly end: () => Promise<void>;
}

/** A certificate for a webhook on this machine. */
export const webhookCertificate = (name = "kuma-injector.kuma-system.svc", hosts = ["127.0.0.1", "localhost"]) =>
  issueCertificate({ name, hosts });

export async function startInjector({
  env = {},
  args = ["--native-sidecar=false"],
  certificate = webhookCertificate(),
}: {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly certificate?: IssuedCertificate;
} = {}): Promise<StartedInjector> {
  const secret = mountedSecret();
  const replace = ({ cert, key }: IssuedCertificate) => secret.put({ "tls.crt": cert, "tls.key": key });
  replace(certificate);
  const running = startProgram("kuma-injector", ["run", ...args], {
    KUMA_INJECTOR_WEBHOOK_SERVER_PORT: "0",
    KUMA_INJECTOR_WEBHOOK_SERVER_ADDRESS: "127.0.0.1",
    KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: secret.directory,
    KUMA_INJECTOR_WEBHOOK_SERVER_SHUTDOWN_DELAY: "0s",
    ...env,
  });
  const port = await eventually("the injector is ready", () => {
    if (running.child.exitCode !== null) throw new Error(running.output());
    const found = /is ready: https:\/\/localhost:(\d+)\/inject-sidecar/.exec(running.output())?.[1];
    return found === undefined ? undefined : Number(found);
  });
  const ask = ({ method = "POST", path = "/inject-sidecar", headers, body }: Ask, ca = certificate.cert) =>
    new Promise<Reply>((resolve, reject) => {
      const agent = new Agent({ keepAlive: false });
      const sent = { "content-type": "application/json", ...headers };
      const outgoing = request({ host: "127.0.0.1", port, method, path, headers: sent, ca, agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        response.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  async function end() {
    await running.kill();
    secret.remove();
  }
  return { ...running, port, certificate, certDir: secret.directory, replace, ask, end };
}
