import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { startHttpServer } from "../../../src/net/http-server.js";
import { readKeyPair } from "../../../src/net/key-pair-files.js";
import { followKeyPair } from "../../../src/net/key-pair-follower.js";
import { issueCertificate } from "../../support/certificates.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("the certificate files of a running server");

/** The common name that the server presents to a new connection. */
function presented(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const { CN } = socket.getPeerCertificate().subject;
      resolve(String(CN));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** A directory as kubelet mounts a Secret: `..data` is a link that is replaced as a whole. */
function mountedSecret() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-pair-"));
  let generation = 0;
  const data = path.join(directory, "..data");
  const put = (cert: string, key: string) => {
    const version = `..${generation++}`;
    fs.mkdirSync(path.join(directory, version));
    fs.writeFileSync(path.join(directory, version, "tls.crt"), cert);
    fs.writeFileSync(path.join(directory, version, "tls.key"), key);
    fs.symlinkSync(version, `${data}_tmp`);
    fs.renameSync(`${data}_tmp`, data);
  };
  for (const name of ["tls.crt", "tls.key"]) fs.symlinkSync(`..data/${name}`, path.join(directory, name));
  return { directory, put };
}

test("a swapped pair is presented to new connections, and a broken one is logged once and not", async () => {
  const [first, second] = ["first", "second"].map((name) => issueCertificate({ name, hosts: ["127.0.0.1"] }));
  if (first === undefined || second === undefined) throw new Error("no certificates");
  const { directory, put } = mountedSecret();
  put(first.cert, first.key);
  const certFile = { path: path.join(directory, "tls.crt"), setting: "CERT" };
  const keyFile = { path: path.join(directory, "tls.key"), setting: "KEY" };
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => lines.push(line) });
  const initial = await readKeyPair(certFile, keyFile);
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "PORT",
    layers: [],
    handler: () => ({ status: 200 }),
    logger,
    tls: initial,
  });
  const stop = new AbortController();
  try {
    followKeyPair({ certFile, keyFile, initial, present: server.present, logger, intervalMs: 10 }, stop.signal);
    assert.is(await presented(server.port), "first");

    put(second.cert, first.key);
    const problems = () => lines.filter((line) => line.includes("can't be used"));
    await eventually("the problem is logged", () => problems().length > 0);
    assert.match(problems()[0] ?? "", "which is not the key of the certificate");
    assert.is(await presented(server.port), "first");

    put(second.cert, second.key);
    await eventually("the new certificate is presented", async () => (await presented(server.port)) === "second");
    fs.rmSync(path.join(directory, "tls.crt"));
    await eventually("the missing file is logged", () => problems().length > 1);
    assert.is(await presented(server.port), "second");
    assert.is(problems().length, 2);
  } finally {
    stop.abort();
    await server.close();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
