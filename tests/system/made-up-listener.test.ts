import * as assert from "uvu/assert";
import { listenerKinds } from "../../src/envoy/listener-kinds/listener-kinds.js";
import { registry } from "../../src/resources/registry.js";
import { type ComposedMesh, openComposedMesh } from "../support/composed-mesh.js";
import { echoListener } from "../support/echo-listener.js";
import { eventually } from "../support/eventually.js";
import { denies, refusal } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("a kind of listener that was just added", { needs: "envoy" });

let mesh: ComposedMesh;
const ports = { in: 0, client: 0, out: 0 };

const permission = (source: string) => ({
  type: "TrafficPermission",
  mesh: "default",
  name: "to-parrot",
  sources: [{ match: { service: source } }],
  destinations: [{ match: { service: "parrot" } }],
});

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  mesh = await openComposedMesh({ registry, listeners: [echoListener, ...listenerKinds] });
  const dataplane = (name: string, networking: unknown) => ({ type: "Dataplane", mesh: "default", name, networking });
  await mesh.apply(
    { type: "Mesh", name: "default", mtls: { enabled: true, ca: { builtin: {} } } },
    permission("web"),
    // Nobody listens on the port behind it.
    dataplane("parrot-1", {
      inbound: [{ interface: `127.0.0.1:${ports.in}:1`, tags: { service: "parrot", protocol: "echo" } }],
    }),
    dataplane("web-1", {
      inbound: [{ interface: `127.0.0.1:${ports.client}:1`, tags: { service: "web" } }],
      outbound: [{ interface: `:${ports.out}`, service: "parrot" }],
    }),
  );
  await mesh.sidecar("parrot-1");
  await mesh.sidecar("web-1");
});

test.after(() => mesh.close());

const echoes = () =>
  eventually("what was sent comes back", async () => (await refusal(ports.out)).includes("is anybody there"));

test("serves the inbounds that it is for, on a real Envoy", echoes);

test("enforces permissions like all others, also when they change at runtime", async () => {
  await mesh.apply(permission("somebody-else"));
  await denies(ports.out);
  await mesh.apply(permission("web"));
  await echoes();
});

test("is shown in the explanation of the listener", async () => {
  await eventually("both are acknowledged", async () => {
    const text = await mesh.kumactl("explain", "traffic", "--from", "web", "--to", "parrot");
    assert.match(text, /^parrot-1 .* acknowledged, echoes$/m);
    assert.match(text, /^web-1 .* acknowledged$/m);
    return true;
  });
});

test.run();
