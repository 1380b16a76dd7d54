import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import forge from "node-forge";
import * as assert from "uvu/assert";
import { type ControlPlane, fetchBootstrap } from "../../../src/dp/bootstrap-client.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp fetches its bootstrap");

interface Reply {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
interface Seen {
  readonly line: string;
  readonly body: string;
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

/** A control plane that answers with `reply`, while `run` uses it; gives the requests that it saw. */
async function withServer(
  reply: (line: string, origin: string) => Reply,
  run: (origin: string, seen: Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  let origin = "";
  const server: Server = createServer(async (request, response) => {
    const line = `${request.method} ${request.url}`;
    seen.push({ line, body: await readAll(request) });
    const { status, body, headers = {} } = reply(line, origin);
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await run(origin, seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const request = { mesh: "default", name: "backend-1", adminPort: 0, logDirectories: ["/tmp"] };
const retry = { pause: 5, giveUp: 30_000, waiting: () => {}, warned: () => {} };
const idle = new AbortController().signal;
const direct = (url: string): ControlPlane => ({ kind: "bootstrap-server", url });
const viaApi = (url: string): ControlPlane => ({ kind: "api-server", url });

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("was expected to fail");
}

const lines = (seen: Seen[]) => seen.map(({ line }) => line);
const catalogue = (origin: string) => JSON.stringify({ apis: { bootstrap: { url: origin } } });

test("the request identifies the dataplane, and the response is returned unchanged", async () => {
  await withServer(
    () => ({ status: 200, body: "node: {}\n" }),
    async (origin, seen) => {
      const asked = { ...request, adminPort: 9901, dataplaneTokenPath: "token" };
      assert.is(await fetchBootstrap(direct(`${origin}/some/path`), asked, retry, idle), "node: {}\n");
      assert.equal(lines(seen), ["POST /bootstrap"]);
      assert.equal(JSON.parse(seen[0]?.body ?? ""), asked);
    },
  );
});

test("an unknown dataplane is final and says what to do", async () => {
  const body = JSON.stringify({ title: "Could not find a Dataplane", details: "Not found" });
  await withServer(
    () => ({ status: 404, body }),
    async (origin, seen) => {
      const error = await failure(fetchBootstrap(direct(origin), request, retry, idle));
      assert.match(error.message, "status: 404. Did you first apply a Dataplane resource?");
      assert.equal(lines(seen), ["POST /bootstrap"]);
    },
  );
});

test("a rejected request is never retried, and the server's message is shown", async () => {
  const body = JSON.stringify({ title: "Invalid request", details: "mesh cannot be empty" });
  await withServer(
    () => ({ status: 400, body }),
    async (origin, seen) => {
      const error = await failure(fetchBootstrap(direct(origin), request, retry, idle));
      assert.match(error.message, "unexpected status code: 400: Invalid request (mesh cannot be empty)");
      assert.is(seen.length, 1);
    },
  );
});

test("5xx responses are retried until the control plane has recovered", async () => {
  let left = 3;
  const reasons: string[] = [];
  await withServer(
    () => (left-- > 0 ? { status: 503 } : { status: 200, body: "a: 1" }),
    async (origin, seen) => {
      const told = { ...retry, waiting: (reason: string) => reasons.push(reason) };
      assert.is(await fetchBootstrap(direct(origin), request, told, idle), "a: 1");
      assert.is(seen.length, 4);
      assert.is(reasons.length, 3);
      assert.match(reasons[0] ?? "", "status 503");
    },
  );
});

test("a control plane that stays away is given up, with the reason", async () => {
  let origin = "";
  await withServer(
    () => ({ status: 200 }),
    async (free) => {
      origin = free;
    },
  );
  const error = await failure(fetchBootstrap(direct(origin), request, { ...retry, giveUp: 20 }, idle));
  assert.match(error.message, /could not reach .*ECONNREFUSED/);
});

test("the control plane's warnings are passed on, without control characters", async () => {
  const warning = '299 - "connected, \\"since\\" noon", 299 - "clear\u009b2J"';
  await withServer(
    () => ({ status: 200, body: "a: 1", headers: { Warning: warning } }),
    async (origin) => {
      const warnings: string[] = [];
      const told = { ...retry, warned: (sentence: string) => void warnings.push(sentence) };
      assert.is(await fetchBootstrap(direct(origin), request, told, idle), "a: 1");
      assert.equal(warnings, ['connected, "since" noon', "clear\\u009b2J"]);
    },
  );
});

test("a signal while waiting ends the wait", async () => {
  const stop = new AbortController();
  await withServer(
    () => ({ status: 503 }),
    async (origin) => {
      const told = { ...retry, pause: 60_000, waiting: () => stop.abort(new Error("stopped")) };
      const error = await failure(fetchBootstrap(direct(origin), request, told, stop.signal));
      assert.is(error.message, "stopped");
    },
  );
});

for (const status of [404, 405]) {
  test(`an API server given instead (${status}) leads to the bootstrap server through its catalogue`, async () => {
    await withServer(
      (line) => {
        if (line === "POST /bootstrap") return { status: 200, body: "b: 2" };
        return { status: 500 };
      },
      async (bootstrapServer) => {
        await withServer(
          (line) =>
            line === "GET /catalogue"
              ? { status: 200, body: catalogue(bootstrapServer) }
              : { status, body: '{"title":"Not found"}' },
          async (origin, seen) => {
            assert.is(await fetchBootstrap(direct(origin), request, retry, idle), "b: 2");
            assert.equal(lines(seen), ["POST /bootstrap", "GET /catalog", "GET /catalogue"]);
          },
        );
      },
    );
  });
}

test("the API server's variable asks the catalogue first", async () => {
  await withServer(
    (line, origin) =>
      line === "GET /catalog" ? { status: 200, body: catalogue(origin) } : { status: 200, body: "c: 3" },
    async (origin, seen) => {
      assert.is(await fetchBootstrap(viaApi(origin), request, retry, idle), "c: 3");
      assert.equal(lines(seen), ["GET /catalog", "POST /bootstrap"]);
    },
  );
});

test("another server is a final error, and the message lists what was tried", async () => {
  await withServer(
    () => ({ status: 404, body: "<html>not here</html>" }),
    async (origin) => {
      const error = await failure(fetchBootstrap(direct(origin), request, retry, idle));
      for (const tried of ["POST", "/bootstrap", "/catalog ", "/catalogue "]) assert.match(error.message, tried);
    },
  );
});

test("a catalogue may not lead to anything but http", async () => {
  await withServer(
    () => ({ status: 200, body: catalogue("file:///etc/passwd") }),
    async (origin) => {
      assert.match((await failure(fetchBootstrap(viaApi(origin), request, retry, idle))).message, "no control plane");
    },
  );
});

/** A key and a certificate for 127.0.0.1, signed by itself. */
function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = "01";
  certificate.validity.notBefore = new Date(Date.now() - 60_000);
  certificate.validity.notAfter = new Date(Date.now() + 3_600_000);
  const subject = [{ name: "commonName", value: "control plane" }];
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { key: privateKey, cert: forge.pki.certificateToPem(certificate) };
}

test("an https control plane is trusted by its CA file only; without it there is one attempt and a hint", async () => {
  const identity = selfSigned();
  const server = createTlsServer(identity, (_request, response) => response.end("d: 4"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const error = await failure(fetchBootstrap(direct(url), request, retry, idle));
    assert.match(error.message, /is not trusted: .*--ca-cert-file/);
    assert.is(await fetchBootstrap({ ...direct(url), ca: identity.cert }, request, retry, idle), "d: 4");
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test.run();
