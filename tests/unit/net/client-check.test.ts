import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { request } from "node:https";
import net from "node:net";
import tls from "node:tls";
import forge from "node-forge";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { createClientCheck } from "../../../src/net/client-check.js";
import type { HttpHandler } from "../../../src/net/exchange.js";
import { type HttpServer, startHttpServer } from "../../../src/net/http-server.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("an HTTPS server and its clients' certificates");

const logged: string[] = [];
const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
let served = 0;
/** Fingerprints of client certificates in endpoints, in the order of the requests. */
const seen: (string | undefined)[] = [];
let server: HttpServer;

interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

const day = 24 * 3_600_000;
const clientAuth = { name: "extKeyUsage", clientAuth: true };
const serverAuth = { name: "extKeyUsage", serverAuth: true };

interface Wanted {
  /** Default: self-signed. */
  readonly issuer?: KeyPair;
  readonly subject?: string;
  readonly purpose?: object;
  /** First and last day, relative to today. */
  readonly days?: readonly [number, number];
}

/** A certificate and its key, without identifiers of keys: certificates of one subject can't be told apart by those. */
function certificate({ issuer, subject = "kuma", purpose = clientAuth, days = [-1, 1] }: Wanted = {}): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const made = forge.pki.createCertificate();
  made.publicKey = forge.pki.publicKeyFromPem(publicKey);
  made.serialNumber = randomBytes(8).toString("hex").replace(/^./, "1");
  made.validity.notBefore = new Date(Date.now() + days[0] * day);
  made.validity.notAfter = new Date(Date.now() + days[1] * day);
  const name = [{ name: "commonName", value: subject }];
  made.setSubject(name);
  made.setIssuer(issuer === undefined ? name : forge.pki.certificateFromPem(issuer.cert).subject.attributes);
  made.setExtensions([{ name: "basicConstraints", cA: true }, purpose]);
  made.sign(forge.pki.privateKeyFromPem(issuer?.key ?? privateKey), forge.md.sha256.create());
  return { key: privateKey, cert: forge.pki.certificateToPem(made) };
}

const own = certificate({ purpose: serverAuth });

async function serve(trusted: readonly KeyPair[]): Promise<void> {
  await server?.close();
  logged.length = 0;
  served = 0;
  const clients = createClientCheck(trusted.map(({ cert }) => new X509Certificate(cert)));
  const handler: HttpHandler = ({ clientCertificate }) => {
    served += 1;
    seen.push(clientCertificate?.fingerprint256);
    return { status: 200, body: "served" };
  };
  const binding = { port: 0, host: "127.0.0.1", setting: "TEST_PORT" };
  server = await startHttpServer({ ...binding, layers: [], handler, logger, tls: { ...own, clients } });
}

/** The status of the response, or the error code. */
function ask(credentials: Partial<KeyPair> & { maxVersion?: "TLSv1.2" }): Promise<unknown> {
  const { port } = server;
  return new Promise((resolve) => {
    const options = { agent: false, ...credentials, port, host: "127.0.0.1", rejectUnauthorized: false };
    const outgoing = request(options, (response) => resolve(response.resume().statusCode));
    outgoing.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    outgoing.end();
  });
}

test.after(() => server.close());

test("accepts every client with a trusted certificate, even if all have the same subject", async () => {
  const clients = [certificate(), certificate(), certificate()];
  await serve(clients);
  for (const known of clients) assert.is(await ask(known), 200);
  assert.is(await ask({ ...(clients[2] as KeyPair), maxVersion: "TLSv1.2" }), 200);
  assert.equal([served, logged], [3 + 1, []]);
});

test("gives endpoints the client's certificate, also on a resumed session", async () => {
  const clients = [certificate(), certificate()];
  await serve(clients);
  seen.length = 0;
  for (const known of clients) await ask(known);
  const fingerprints = clients.map(({ cert }) => new X509Certificate(cert).fingerprint256);
  assert.equal(seen, fingerprints);
  const resume = (session?: Buffer) =>
    new Promise<{ ticket: Buffer | undefined; reused: boolean }>((resolve) => {
      let ticket: Buffer | undefined;
      let reused = false;
      const options = { port: server.port, host: "127.0.0.1", rejectUnauthorized: false, ...clients[1] };
      const socket = tls.connect(session === undefined ? options : { ...options, session });
      socket.on("secureConnect", () => {
        reused = socket.isSessionReused();
        socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      });
      socket.on("session", (fresh: Buffer) => {
        ticket = fresh;
      });
      socket.resume().on("close", () => resolve({ ticket, reused }));
    });
  assert.ok((await resume((await resume()).ticket)).reused);
  assert.equal(seen.slice(2), [fingerprints[1], fingerprints[1]]);
});

test("accepts clients whose certificate was issued by a trusted one", async () => {
  const [authority, stranger] = [certificate({ subject: "authority" }), certificate({ subject: "stranger" })];
  await serve([certificate(), authority]);
  const employee = certificate({ issuer: authority, subject: "employee" });
  assert.is(await ask(employee), 200);
  assert.is(await ask(certificate({ issuer: stranger, subject: "employee" })), "ECONNRESET");
  assert.is(await ask(certificate({ issuer: authority, days: [-2, -1] })), "ECONNRESET");
  await serve([employee]);
  assert.is(await ask(employee), 200);
});

test("rejects all others before it reads any HTTP, and logs why", async () => {
  const [known, forServers] = [certificate(), certificate({ purpose: serverAuth })];
  const [expired, early] = [certificate({ days: [-2, -1] }), certificate({ days: [1, 2] })];
  await serve([known, expired, early, forServers]);
  const cases: [Partial<KeyPair>, RegExp][] = [
    [{}, /rejected a client\t.*it presented no certificate/],
    [certificate(), /rejected a client\t.*was issued by none of those accepted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/],
    [expired, /rejected a client\t.*its certificate expired at 20/],
    [early, /rejected a client\t.*its certificate is not valid before 20/],
    [forServers, /rejected a client\t.*its certificate is not one for clients/],
  ];
  for (const [credentials, expected] of cases) {
    for (const version of [{}, { maxVersion: "TLSv1.2" as const }]) {
      logged.length = 0;
      assert.is(typeof (await ask({ ...credentials, ...version })), "string");
      await eventually("the reason is logged", () => expected.test(logged.join("")));
      assert.match(logged.join(""), /"address":"127\.0\.0\.1"/);
    }
  }
  assert.is(served, 0);
  assert.is(await ask(known), 200);
});

test("rejects a client again that resumes a rejected session", async () => {
  await serve([certificate()]);
  const stranger = certificate();
  const dial = (session?: Buffer) =>
    new Promise<Buffer | undefined>((resolve) => {
      let ticket: Buffer | undefined;
      const options = { port: server.port, host: "127.0.0.1", rejectUnauthorized: false, ...stranger };
      const socket = tls.connect(session === undefined ? options : { ...options, session });
      socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
      socket.on("session", (fresh: Buffer) => {
        ticket = fresh;
      });
      socket.on("error", () => socket.destroy());
      socket.on("close", () => resolve(ticket));
    });
  const ticket = await dial();
  await dial(ticket);
  assert.is(served, 0);
});

test("logs a failed handshake, and does not wait for a hanging one when it closes", async () => {
  await serve([certificate()]);
  const plain = net.connect(server.port, "127.0.0.1", () => plain.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  plain.on("error", () => plain.destroy());
  await eventually("it is logged", () => /a TLS handshake failed\t.*"reason":"http request"/.test(logged.join("")));
  const silent = net.connect(server.port, "127.0.0.1");
  silent.on("error", () => silent.destroy());
  await eventually("it is connected", () => silent.readyState === "open");
  await ask(certificate());
  await server.close();
  await eventually("it is cut", () => silent.destroyed || silent.readyState !== "open");
  plain.destroy();
});

test.run();
