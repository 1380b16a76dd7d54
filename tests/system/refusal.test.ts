import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { greeting, type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("what an Envoy refuses", { needs: "envoy" });

let stage: MeshStage;
const ports = { shared: 0, other: 0, late: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
});
test.after(() => stage.close());

test("a port that another sidecar has: named with Envoy's words until it is mended, and nothing else is concerned", async () => {
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

  const errors = () => /second-1 .* (\d+)\n/.exec(stage.kumactl("inspect", "dataplanes").stdout)?.[1];
  const before = errors();
  await stage.apply("elsewhere-1", { inbound: [inbound(1, 2, "elsewhere")] });
  assert.is(errors(), before, "nothing refused is sent again");

  await stage.apply("second-1", {
    inbound: [inbound(ports.late, second.port, "second"), inbound(ports.other, second.port, "second")],
  });
  await reaches(ports.late, "second");
  await eventually("all is well again", () => stage.kumactl("inspect", "dataplanes").stderr === "");
});

test.run();
