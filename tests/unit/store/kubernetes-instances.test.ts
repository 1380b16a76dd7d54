import * as assert from "uvu/assert";
import { KubeError } from "../../../src/kubeapi/error.js";
import { createInstances } from "../../../src/store/kubernetes/instances.js";
import type { LeaseSpec, Leases, SeenLease } from "../../../src/store/kubernetes/leases.js";
import { suite } from "../../support/suite.js";

const test = suite("the Lease of a control plane on Kubernetes");

/** One Lease, as an API server keeps it; `losing` loses the answer to the next creation. */
function leaseOf() {
  let uid = 0;
  let lease: SeenLease | undefined;
  let losing = false;
  const see = (spec: LeaseSpec): SeenLease => ({
    object: { apiVersion: "", kind: "Lease", metadata: { name: "own", uid: String(uid) } },
    holder: spec.holderIdentity,
    durationMs: 0,
    transitions: 0,
    changedAt: 0,
  });
  const leases: Leases = {
    get: async () => lease,
    list: async () => (lease === undefined ? [] : [lease]),
    async create(_name, spec) {
      uid++;
      lease = see(spec);
      if (losing) {
        losing = false;
        throw new KubeError(0, "the connection was reset");
      }
      return lease;
    },
    async renew(held, spec) {
      if (lease?.object.metadata.uid !== held.object.metadata.uid) throw new KubeError(409, "it is another one");
      lease = see(spec);
      return lease;
    },
    async delete() {
      lease = undefined;
    },
  };
  function lose(): void {
    losing = true;
  }
  function forget(): void {
    lease = undefined;
  }
  return { leases, lose, forget };
}

function instance(leases: Leases) {
  let returned = 0;
  const instances = createInstances(leases, "own", { deadMs: 1_000 });
  instances.observe({ died() {}, returned: () => void returned++ });
  return { instances, returned: () => returned };
}

test("a first Lease is no return, nor is one that is renewed", async () => {
  const { instances, returned } = instance(leaseOf().leases);
  for (let beat = 0; beat < 3; beat++) await instances.renew();
  assert.is(returned(), 0);
});

test("a Lease that others deleted is a return, once", async () => {
  const { leases, forget } = leaseOf();
  const { instances, returned } = instance(leases);
  await instances.renew();
  forget();
  for (let beat = 0; beat < 3; beat++) await instances.renew();
  assert.is(returned(), 1);
});

test("it is one as well if the answer to the new creation is lost", async () => {
  const { leases, forget, lose } = leaseOf();
  const { instances, returned } = instance(leases);
  await instances.renew();
  forget();
  lose();
  await instances.renew().catch(() => {});
  assert.is(returned(), 0);
  for (let beat = 0; beat < 3; beat++) await instances.renew();
  assert.is(returned(), 1);
});

test.run();
