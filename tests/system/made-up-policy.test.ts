import net from "node:net";
import * as assert from "uvu/assert";
import { policyEffects } from "../../src/envoy/effects/effects.js";
import type { DataplanePolicies } from "../../src/policy/dataplane-policies.js";
import type { TrafficExplanation } from "../../src/policy/explain/explanation.js";
import { createRegistry, registry } from "../../src/resources/registry.js";
import { type ComposedMesh, openComposedMesh } from "../support/composed-mesh.js";
import { eventually } from "../support/eventually.js";
import { idleTimeoutEffect, idleTimeoutType } from "../support/idle-timeout.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("a policy that was just registered", { needs: "envoy" });

let mesh: ComposedMesh;
let application: net.Server;
let ask: (target: string) => Promise<string>;
const ports = { in: 0, out: 0 };

const match = (service: string) => [{ match: { service } }];
const idle = (name: string, source: string, destination: string, after: string) => ({
  type: "IdleTimeout",
  mesh: "default",
  name,
  sources: match(source),
  destinations: match(destination),
  conf: { after },
});

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  application = net.createServer((socket) => socket.on("error", () => socket.destroy()).pipe(socket));
  await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
  mesh = await openComposedMesh({
    registry: createRegistry([...registry.types, idleTimeoutType]),
    effects: [...policyEffects, idleTimeoutEffect],
  });
  const { port } = application.address() as net.AddressInfo;
  await mesh.apply({
    type: "Dataplane",
    mesh: "default",
    name: "both-1",
    networking: {
      inbound: [{ interface: `127.0.0.1:${ports.in}:${port}`, tags: { service: "web" } }],
      outbound: [{ interface: `:${ports.out}`, service: "web" }],
    },
  });
  ask = await mesh.sidecar("both-1");
});

test.after(async () => {
  await mesh.close();
  application.close();
});

/** The idle timeout of the outbound's TCP proxy, as Envoy has it. */
async function idleTimeout(): Promise<string | undefined> {
  const dump = await ask("/config_dump?resource=dynamic_listeners");
  const { configs = [] } = JSON.parse(dump) as { configs?: { name: string; active_state?: { listener: unknown } }[] };
  const outbound = configs.find(({ name }) => name.startsWith("outbound:"));
  return /"idle_timeout":"([^"]+)"/.exec(JSON.stringify(outbound?.active_state ?? ""))?.[1];
}

/** Connects, sees that bytes come back, and resolves when the other side closes. */
function closed(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("hello"));
    let answered = false;
    socket.on("data", () => {
      answered = true;
    });
    socket.on("error", reject);
    socket.on("close", () => (answered ? resolve() : reject(new Error("closed without an answer"))));
  });
}

test("is applied by kumactl, validated, and listed", async () => {
  await eventually("Envoy has the listener", async () => (await idleTimeout()) === "0s");
  const refused = await mesh
    .apply({ ...idle("quiet", "web", "web", "1s"), conf: {} })
    .catch((error: Error) => error.message);
  assert.match(String(refused), /conf\.after/);
  await mesh.apply(idle("quiet", "*", "web", "0.3s"), idle("lost", "web", "nobody", "1s"));
  assert.match(await mesh.kumactl("get", "idle-timeouts"), /default +quiet/);
});

test("changes the listener of a real Envoy, and the behaviour of its connections", async () => {
  await eventually("Envoy has the timeout", async () => (await idleTimeout()) === "0.300s");
  await closed(ports.out);
});

test("is shown by inspect, with what decides between several", async () => {
  await mesh.apply(idle("exact", "web", "web", "0.2s"));
  await eventually("the more specific one counts", async () => (await idleTimeout()) === "0.200s");
  const answer = await (await fetch(`${mesh.api}/meshes/default/dataplanes/both-1/policies`)).json();
  const [outbound] = (answer as DataplanePolicies).outbounds;
  assert.equal(Object.keys(outbound ?? {}), [
    ...["address", "port", "service", "trafficRoutes", "idleTimeouts", "shares", "trafficLogs"],
  ]);
  const [source, destination] = [{ service: "web" }, { service: "web" }];
  assert.equal(Reflect.get(outbound ?? {}, "idleTimeouts"), [
    { name: "exact", source, destination, applies: true, reason: "more-exact" },
    { name: "quiet", source: { service: "*" }, destination, applies: false, reason: "less-exact" },
  ]);
  const text = await mesh.kumactl("inspect", "dataplane", "both-1", "--policies");
  assert.match(text, /^IdleTimeout +exact +service=web +service=web +yes: as many tags as the next one, fewer \*$/m);
  assert.match(text, /^IdleTimeout +quiet +service=\* +service=web +no: as many tags, more \*$/m);
});

test("is named where traffic is explained, and where it concerns nothing", async () => {
  const answer = await (await fetch(`${mesh.api}/meshes/default/explain?from=web&to=web`)).json();
  assert.is(Reflect.get((answer as TrafficExplanation).routes[0] ?? {}, "idleTimeout"), "exact");
  const text = await mesh.kumactl("explain", "traffic", "--from", "web", "--to", "web");
  assert.match(text, /^closed when nothing is sent for as long as IdleTimeout exact says$/m);
  const problems = await (await fetch(`${mesh.api}/meshes/default/problems`)).text();
  assert.match(problems, /IdleTimeout \\"lost\\" matches no dataplane: no dataplane has service=nobody/);
});

test("has no effect any more once it is deleted", async () => {
  for (const name of ["exact", "quiet"]) await mesh.kumactl("delete", "idle-timeout", name);
  await eventually("Envoy has its former timeout", async () => (await idleTimeout()) === "0s");
});

test.run();
