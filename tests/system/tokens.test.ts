import fs from "node:fs";
import { request } from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import {
  anyPorts,
  type ControlPlane,
  put,
  runProgram,
  startControlPlane,
  startProgram,
} from "../support/executable.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("dataplane tokens of kuma-cp as built, by kumactl as built");

/** An address by which other machines would reach this one; a machine without a network has none. */
const outside = Object.values(os.networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;

let directory: string;
let cp: ControlPlane;
const running: ControlPlane[] = [];

async function start(env: Readonly<Record<string, string>> = {}): Promise<ControlPlane> {
  const started = await startControlPlane(env);
  running.push(started);
  return started;
}

test.before(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-tokens-"));
  cp = await start();
  useControlPlane(cp.api);
});
test.after(async () => {
  for (const { child, kill } of running) if (child.exitCode === null) await kill();
  fs.rmSync(directory, { recursive: true, force: true });
});

const inDirectory = (name: string) => path.join(directory, name);

function kumactl(...words: string[]) {
  return runProgram("kumactl", ["--config-file", inDirectory("kumactl"), ...words]);
}

/** Makes a control plane, by its address, the one that kumactl asks. */
function useControlPlane(address: string, ...flags: string[]): void {
  fs.writeFileSync(inDirectory("kumactl"), "");
  const added = kumactl("config", "control-planes", "add", "--name", "cp", "--address", address, ...flags);
  assert.is(added.status, 0, added.stderr);
}

/** Makes a certificate and its key with kumactl. */
function certificate(type: "client" | "server", cert: string): { cert: string; key: string } {
  fs.mkdirSync(path.dirname(inDirectory(cert)), { recursive: true });
  const files = { cert: inDirectory(cert), key: inDirectory(`${path.basename(cert)}.key`) };
  const made = kumactl("generate", "certificate", `--cert=${files.cert}`, `--key=${files.key}`, `--type=${type}`);
  assert.is(made.status, 0, made.stderr);
  return files;
}

async function issue(tokens: string, body: unknown) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${tokens}/tokens`, { method: "POST", body: text });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

/** A part of a JWT: 0 is the header, 1 the claims. */
const part = (token: string, index: 0 | 1) =>
  JSON.parse(Buffer.from(token.split(".")[index] ?? "", "base64url").toString()) as Record<string, unknown>;

const dataplane = { name: "dp-echo-1", mesh: "default" };

const canConnect = (port: number, host: string) =>
  new Promise<boolean>((resolve) => {
    const socket = net.connect(port, host, () => resolve(true));
    socket.on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });

const portOf = (url: string) => Number(new URL(url).port);

test("are issued to anyone on this machine, in plain text", async () => {
  const { status, type, text } = await issue(cp.tokens, dataplane);
  assert.equal([status, type], [200, "text/plain"]);
  assert.match(text, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.equal(part(text, 1), { Name: "dp-echo-1", Mesh: "default" });
  assert.equal(part(text, 0).alg, "RS256");
});

test("are not issued for half a request, nor on another address of this machine", async () => {
  const documented = await issue(cp.tokens, '{"name:" "dp-echo-1", "mesh": "default"}');
  assert.is(documented.status, 400);
  assert.equal(await issue(cp.tokens, { mesh: "default" }), {
    status: 400,
    type: "text/plain",
    text: "name cannot be empty",
  });
  assert.ok(await canConnect(portOf(cp.tokens), "127.0.0.1"));
  // Every 127.x.y.z is this machine; a machine without a network has no other address to try.
  assert.not.ok(await canConnect(portOf(cp.tokens), outside ?? "127.0.0.2"));
});

test("are printed by kumactl, with an expiry only when one is requested", async () => {
  assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
  const printed = ["--name=a", "--dataplane=a"].map((flag) => kumactl("generate", "dataplane-token", flag));
  for (const { status, stdout, stderr } of printed) {
    assert.equal([status, stderr], [0, ""]);
    assert.equal(part(stdout, 1), { Name: "a", Mesh: "default" });
    assert.match(stdout, /[\w-]$/);
  }
  const before = Math.floor(Date.now() / 1000);
  const { stdout } = kumactl("generate", "dataplane-token", "--name=a", "--mesh=m", "--valid-for=1h");
  const { exp, ...claims } = part(stdout, 1);
  assert.equal(claims, { Name: "a", Mesh: "m" });
  const after = Math.ceil(Date.now() / 1000);
  assert.ok(typeof exp === "number" && exp >= before + 3600 && exp <= after + 3600, `${exp}`);
  const refused = kumactl("generate", "dataplane-token", "--name=A B");
  assert.is(refused.status, 1);
  assert.match(refused.stderr, /^Error: failed to generate a dataplane token: .* 400: name: invalid characters/);
});

test("stay valid when a mesh is deleted, and are signed with a new key when the memory store is lost", async () => {
  const env = { KUMA_API_SERVER_PORT: String(await freePort()) };
  const first = await start(env);
  const token = await issue(first.tokens, dataplane);
  const deleted = await fetch(`${first.api}/meshes/default`, { method: "DELETE" });
  assert.is(deleted.status, 200);
  // Signatures by RS256 hold no chance: the same bytes mean the same key.
  assert.equal(await issue(first.tokens, dataplane), token);
  assert.is(await first.stop(), 0);
  const second = await start(env);
  assert.is.not(part((await issue(second.tokens, dataplane)).text, 0).kid, part(token.text, 0).kid);
});

test("are not issued when the server is disabled, by either of its variables", async () => {
  for (const name of ["KUMA_DATAPLANE_TOKEN_SERVER_ENABLED", "KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED"]) {
    const port = await freePort();
    const disabled = await start({ [name]: "false", KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: String(port) });
    assert.is(disabled.tokens, "");
    assert.not.match(disabled.output(), /has no effect/);
    assert.not.ok(await canConnect(port, "127.0.0.1"));
    const catalogue = (await (await fetch(`${disabled.api}/catalogue`)).json()) as { apis: object };
    assert.match(JSON.stringify(catalogue.apis), '"dataplaneToken":{"localUrl":"","publicUrl":""}');
    useControlPlane(disabled.api);
    const { status, stderr } = kumactl("generate", "dataplane-token", "--name=a");
    assert.is(status, 1);
    assert.match(stderr, /Enable the server on the Control Plane .*KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true/);
  }
});

/** What the documentation says to set for a public server, on this address. */
function publicServer(host: string, port: number): Record<string, string> {
  const server = certificate("server", "server");
  return {
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_ENABLED: "true",
    KUMA_GENERAL_ADVERTISED_HOSTNAME: host,
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_CERT_FILE: server.cert,
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_KEY_FILE: server.key,
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_INTERFACE: host,
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_PORT: String(port),
    KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_CLIENT_CERTS_DIR: inDirectory("clients"),
  };
}

/** The token that the server gives over HTTPS, or the code of the failure. */
function issueOverTls(url: string, credentials?: { readonly cert: string; readonly key: string }): Promise<string> {
  const files = credentials && { cert: fs.readFileSync(credentials.cert), key: fs.readFileSync(credentials.key) };
  return new Promise((resolve) => {
    const options = { method: "POST", agent: false, ca: fs.readFileSync(inDirectory("server")), ...files };
    // kumactl's server certificates are for localhost by default.
    const outgoing = request(`${url}/tokens`, { ...options, checkServerIdentity: () => undefined }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve(text));
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    outgoing.end(JSON.stringify(dataplane));
  });
}

test("are issued to other machines over HTTPS, only to client certificates in the directory", async () => {
  const [first, second] = [certificate("client", "clients/first.pem"), certificate("client", "clients/second.pem")];
  const stranger = certificate("client", "stranger.pem");
  fs.writeFileSync(inDirectory("clients/notes.txt"), "whose is whose");
  const port = await freePort();
  const started = await start(publicServer("127.0.0.2", port));
  const url = `https://127.0.0.2:${port}`;
  assert.match(started.output(), new RegExp(`tokens +http://localhost:\\d+\\n +${url} `));
  assert.match(started.output(), /client certificates read\t.*"certificates":2,"ignored":\["notes\.txt"\]/);
  const catalogue = await (await fetch(`${started.api}/catalogue`)).text();
  assert.match(catalogue, `"publicUrl": "${url}"`);
  const token = (await issue(started.tokens, dataplane)).text;
  assert.is(await issueOverTls(url, first), token);
  assert.is(await issueOverTls(url, second), token);
  assert.match(await issueOverTls(url), /^E/);
  assert.match(await issueOverTls(url, stranger), /^E/);
  await eventually("both refusals are logged with their reason", () =>
    [/it presented no certificate/, /was issued by none of those accepted/].every((reason) =>
      reason.test(started.output()),
    ),
  );
  assert.is(await fetch(`http://127.0.0.2:${port}/tokens`, { method: "POST" }).catch(() => "refused"), "refused");
  assert.is(await started.stop(), 0);
});

test("are fetched from another machine by the documentation's five steps", async () => {
  if (outside === undefined) {
    console.log("skipped: this machine has no address but loopback, so that kumactl always takes the local server");
    return;
  }
  const client = certificate("client", "clients/first.pem");
  // By default the public server has the port of the local one.
  const port = String(await freePort());
  const { KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_PORT: _, ...env } = publicServer(outside, 0);
  const started = await start({ ...env, KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: port });
  const address = `http://${outside}:${portOf(started.api)}`;
  const asking = ["generate", "dataplane-token", "--name=dp-echo-1", "--mesh=default"];
  useControlPlane(address);
  const without = kumactl(...asking);
  assert.is(without.status, 1);
  assert.match(without.stderr, /kumactl has no client certificate .*\nPossible solutions:\n1\) Configure TLS/);
  const flags = ({ cert, key }: typeof client) => [
    ...["--dataplane-token-client-cert", cert],
    ...["--dataplane-token-client-key", key],
  ];
  useControlPlane(address, ...flags(client));
  const { status, stdout, stderr } = kumactl(...asking);
  assert.equal([status, stderr], [0, ""]);
  assert.is(stdout, (await issue(`http://127.0.0.1:${port}`, dataplane)).text);
  useControlPlane(address, ...flags(certificate("client", "stranger.pem")));
  const unknown = kumactl(...asking);
  assert.is(unknown.status, 1);
  assert.match(unknown.stderr, new RegExp(`could not reach https://${outside}:${port}: .*_PUBLIC_CLIENT_CERTS_DIR`));
});

test("with a public server that can't start: the control plane does not start, and names the setting", async () => {
  certificate("client", "clients/first.pem");
  const env = publicServer("127.0.0.2", await freePort());
  const refusal = async (changed: Readonly<Record<string, string>>) => {
    const refused = startProgram("kuma-cp", ["run"], { ...anyPorts, ...env, ...changed });
    assert.is(await refused.ended, 1, refused.output());
    return refused.output();
  };
  const prefix = "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC";
  const key = inDirectory("clients/key.pem");
  fs.writeFileSync(key, fs.readFileSync(inDirectory("first.pem.key")));
  assert.match(await refusal({}), new RegExp(`Error: "${key}", in .*${prefix}_CLIENT_CERTS_DIR .*but a private key`));
  fs.rmSync(key, { force: true });
  fs.mkdirSync(inDirectory("empty"));
  for (const name of ["missing", "empty"]) {
    const output = await refusal({ [`${prefix}_CLIENT_CERTS_DIR`]: inDirectory(name) });
    assert.match(output, new RegExp(`Error: ${prefix}_CLIENT_CERTS_DIR names "${inDirectory(name)}"`));
  }
  const wrongKey = await refusal({ [`${prefix}_TLS_KEY_FILE`]: inDirectory("first.pem.key") });
  assert.match(wrongKey, new RegExp(`Error: ${prefix}_TLS_KEY_FILE names .* is not the key of the certificate`));
  const overlap = await refusal({ [`${prefix}_INTERFACE`]: "0.0.0.0", [`${prefix}_PORT`]: "0" });
  assert.match(overlap, new RegExp(`Error: The public token server can't listen on 0\\.0\\.0\\.0.*${prefix}_PORT`));
  assert.match(await refusal({ [`${prefix}_INTERFACE`]: "192.0.2.254" }), /this machine does not have that address/);
  assert.match(await refusal({ [`${prefix}_ENABLED`]: "true", [`${prefix}_INTERFACE`]: "" }), `${prefix}_INTERFACE`);
});

test("work with certificates that kumactl generates for both ends", () => {
  const { cert, key } = certificate("server", "made");
  assert.match(fs.readFileSync(cert, "utf8"), /^-----BEGIN CERTIFICATE-----\n/);
  assert.is(fs.statSync(key).mode & 0o777, 0o400);
  const wrong = kumactl("generate", "tls-certificate", "--type=x");
  assert.equal([wrong.status, wrong.stdout], [1, ""]);
  assert.match(wrong.stderr, /^Error: --type has to be either "client" or "server"/);
});

test.run();
