import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { greeting, type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort, occupy } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("resources that an Envoy rejects", { needs: "envoy" });

let stage: MeshStage;
const ports = { shared: 0, other: 0, late: 0, taken: 0, fourth: 0, logged: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
});
test.after(() => stage.close());

test("a port that another sidecar has: shown with Envoy's message until it is fixed, and nothing else is affected", async () => {
  const [first, second] = [await stage.application("first"), await stage.application("second")];
  const inbound = (port: number, app: number, service: string) => ({
    interface: `127.0.0.1:${port}:${app}`,
    tags: { service },
  });
  await stage.apply("first-1", { inbound: [inbound(ports.shared, first.port, "first")] });
  await stage.sidecar("first-1", { token: "" });
  await reaches(ports.shared, "first");

  await stage.apply("second-1", {
    inbound: [inbound(ports.shared, second.port, "second"), inbound(ports.other, second.port, "second")],
  });
  await stage.sidecar("second-1", { token: "" });
  const { stderr, stdout } = await eventually("the refusal is shown", () => {
    const inspected = stage.kumactl("inspect", "dataplanes");
    return inspected.stderr === "" ? undefined : inspected;
  });
  const listener = `inbound:127\\.0\\.0\\.1:${ports.shared}`;
  assert.match(stderr, new RegExp(`^Envoy of "second-1" refuses LDS resource "${listener}": .*cannot bind`));
  assert.is(stderr.trim().split("\n").length, 1);
  assert.match(stdout, /second-1 .* Online .* [1-9]\d*\n/);
  await reaches(ports.other, "second");
  for (let index = 0; index < 10; index++) assert.is(await greeting(ports.shared), "first");

  await stage.apply("second-1", {
    inbound: [inbound(ports.late, second.port, "second"), inbound(ports.other, second.port, "second")],
  });
  await reaches(ports.late, "second");
  await eventually("all is well again", () => stage.kumactl("inspect", "dataplanes").stderr === "");
});

const refusals = () => stage.kumactl("inspect", "dataplanes").stderr;

test("a listener whose port is taken is retried once the port is free, without another apply", async () => {
  const app = await stage.application("third");
  const free = await occupy(ports.taken);
  await stage.apply("third-1", {
    inbound: [{ interface: `127.0.0.1:${ports.taken}:${app.port}`, tags: { service: "third" } }],
  });
  await stage.sidecar("third-1", { token: "" });
  await eventually("the refusal is shown", () => refusals().includes("cannot bind"));
  await free();
  await reaches(ports.taken, "third");
  await eventually("all is well again", () => refusals() === "");
});

test("a log file whose directory is missing: the listener is added once the directory exists", async () => {
  const app = await stage.application("fourth");
  const outbound = { interface: `127.0.0.1:${ports.logged}`, service: "third" };
  const directory = mkdtempSync("/tmp/kuma-refusal-");
  const file = path.join(directory, "missing", "access.log");
  try {
    assert.is(
      await put(stage.cp.api, "/meshes/default", {
        type: "Mesh",
        name: "default",
        logging: { backends: [{ name: "file", file: { path: file } }] },
      }),
      200,
    );
    assert.is(
      await put(stage.cp.api, "/meshes/default/traffic-logs/all", {
        type: "TrafficLog",
        mesh: "default",
        name: "all",
        sources: [{ match: { service: "fourth" } }],
        destinations: [{ match: { service: "third" } }],
        conf: { backend: "file" },
      }),
      201,
    );
    await stage.apply("fourth-1", {
      inbound: [{ interface: `127.0.0.1:${ports.fourth}:${app.port}`, tags: { service: "fourth" } }],
      outbound: [outbound],
    });
    await stage.sidecar("fourth-1", { token: "" });
    await eventually("the refusal is shown", () => /refuses LDS resource "outbound.*No such file/s.test(refusals()));
    mkdirSync(path.join(directory, "missing"));
    await reaches(ports.logged, "third");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
