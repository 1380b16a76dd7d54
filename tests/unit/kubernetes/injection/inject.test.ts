import fs from "node:fs";
import path from "node:path";
import { dump, load } from "js-yaml";
import * as assert from "uvu/assert";
import { readSettings } from "../../../../src/injector/settings.js";
import { inject, type SkipReason } from "../../../../src/kubernetes/injection/inject.js";
import type { InjectionOptions } from "../../../../src/kubernetes/injection/options.js";
import { golden, goldenRoot } from "../../../support/golden.js";
import { patched } from "../../../support/json-patch.js";
import { runSeed, seeded } from "../../../support/random.js";
import { suite } from "../../../support/suite.js";

const test = suite("the injection of a pod");

type Raw = Record<string, unknown>;

const { settings } = readSettings({
  file: undefined,
  env: { KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: "/certs" },
  flags: {},
});
const classic: InjectionOptions = { ...settings.injection, nativeSidecar: false };
const native: InjectionOptions = { ...settings.injection, nativeSidecar: true };

const pod = (metadata: Raw = {}, spec: Raw = {}): Raw => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", ...metadata },
  spec: { containers: [{ name: "web", image: "web:1" }], ...spec },
});
const annotated = (annotations: Raw) => pod({ annotations });

/** The pod after its injection. */
function injected(object: unknown, options = classic): Raw {
  const injection = inject(object, options);
  if (injection.kind !== "injected") throw new Error(`not injected: ${JSON.stringify(injection)}`);
  return patched(object, injection.patch) as Raw;
}

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}
const specOf = (object: Raw) => object.spec as Record<"containers" | "initContainers" | "volumes", Container[]>;
const metadataOf = (object: Raw) => object.metadata as { readonly annotations: Readonly<Record<string, string>> };
const named = (containers: readonly Container[], name: string): Container => {
  const [found, ...more] = containers.filter((container) => container.name === name);
  if (found === undefined || more.length > 0) throw new Error(`there is not exactly one ${name}`);
  return found;
};
const environment = (object: Raw, name: string) =>
  named([...specOf(object).containers, ...(specOf(object).initContainers ?? [])], "kuma-sidecar").env.find(
    (variable) => variable.name === name,
  )?.value;

for (const file of ["pod", "plain"]) {
  for (const [form, options] of [
    ["classic", classic],
    ["native", native],
  ] as const) {
    test(`makes of ${file}.yaml what the golden file shows, in the ${form} form`, () => {
      const given = load(fs.readFileSync(path.join(goldenRoot, `kubernetes/injection/${file}.yaml`), "utf8"));
      const text = dump(injected(given, options), { noRefs: true, lineWidth: -1 });
      const { actual, expected } = golden(`kubernetes/injection/${file}.${form}.yaml`, text);
      assert.is(actual, expected);
    });
  }
}

test("comes last among containers and init containers in the classic form", () => {
  const result = specOf(injected(pod({}, { initContainers: [{ name: "first" }] })));
  assert.equal(
    result.containers.map(({ name }) => name),
    ["web", "kuma-sidecar"],
  );
  assert.equal(
    result.initContainers.map(({ name }) => name),
    ["first", "kuma-init"],
  );
});

test("comes first among init containers in the native form, and is no container", () => {
  const result = specOf(injected(pod({}, { initContainers: [{ name: "first" }] }), native));
  assert.equal(
    result.containers.map(({ name }) => name),
    ["web"],
  );
  assert.equal(
    result.initContainers.map(({ name }) => name),
    ["kuma-init", "kuma-sidecar", "first"],
  );
});

const skipped: readonly (readonly [string, SkipReason, Raw])[] = [
  ["an annotation that says disabled", "opted-out", annotated({ "kuma.io/sidecar-injection": "disabled" })],
  ["an annotation that says false", "opted-out", annotated({ "kuma.io/sidecar-injection": "false" })],
  ["a label that says disabled", "opted-out", pod({ labels: { "kuma.io/sidecar-injection": "disabled" } })],
  ["a label that says false", "opted-out", pod({ labels: { "kuma.io/sidecar-injection": "false" } })],
  ["the network of its machine", "host-network", pod({}, { hostNetwork: true })],
  ["a mirror of a static pod", "static", annotated({ "kubernetes.io/config.mirror": "abc" })],
  ["Windows containers", "windows", pod({}, { os: { name: "windows" } })],
  ["a container named kuma-sidecar", "injected", pod({}, { containers: [{ name: "kuma-sidecar" }] })],
  ["a container named kuma-init", "injected", pod({}, { initContainers: [{ name: "kuma-init" }] })],
  ["a native kuma-sidecar", "injected", pod({}, { initContainers: [{ name: "kuma-sidecar" }] })],
];
for (const [what, reason, object] of skipped) {
  test(`leaves a pod with ${what} as it is`, () => {
    for (const options of [classic, native]) assert.equal(inject(object, options), { kind: "skipped", reason });
  });
}

test("ignores an annotation that says injected while there is no sidecar, and other opt-out values", () => {
  injected(annotated({ "kuma.io/sidecar-injected": "true" }));
  injected(annotated({ "kuma.io/sidecar-injection": "enabled" }));
  injected(annotated({ "kuma.io/sidecar-injection": "" }));
  injected(pod({}, { hostNetwork: false }));
});

test("takes the mesh from the annotation, and default where it is empty", () => {
  for (const [given, mesh] of [
    [{ "kuma.io/mesh": "pilot" }, "pilot"],
    [{ "kuma.io/mesh": "" }, "default"],
    [{}, "default"],
  ] as const) {
    const result = injected(annotated(given));
    assert.is(environment(result, "KUMA_DATAPLANE_MESH"), mesh);
    assert.is(metadataOf(result).annotations["kuma.io/mesh"], mesh);
  }
});

test("leaves the pod's name to kubelet, which expands it", () => {
  const result = injected(pod({ name: undefined, generateName: "web-" }));
  assert.is(environment(result, "KUMA_DATAPLANE_NAME"), "$(POD_NAME).$(POD_NAMESPACE)");
});

test("overwrites the annotations that it owns, and keeps the others", () => {
  const { annotations } = metadataOf(
    injected(annotated({ "kuma.io/transparent-proxying-port": "1", "kuma.io/sidecar-injected": "no", "a/~b": "c" })),
  );
  assert.equal(annotations, {
    "a/~b": "c",
    "kuma.io/mesh": "default",
    "kuma.io/sidecar-injected": "true",
    "kuma.io/transparent-proxying": "enabled",
    "kuma.io/transparent-proxying-port": "15001",
  });
});

test("excludes the health port, and the ports that annotations name", () => {
  const args = (annotations: Raw) => named(specOf(injected(annotated(annotations))).initContainers, "kuma-init").args;
  const usual = ["-p", "15001", "-u", "5678", "-g", "5678", "-m", "REDIRECT", "-i", "*", "-b", "*", "-d"];
  assert.equal(args({}), [...usual, "9902"]);
  assert.equal(args({ "traffic.kuma.io/exclude-inbound-ports": " " }), [...usual, "9902"]);
  assert.equal(args({ "traffic.kuma.io/exclude-inbound-ports": "8081, 9902,8081" }), [...usual, "9902,8081"]);
  assert.equal(args({ "traffic.kuma.io/exclude-outbound-ports": "3306,65535" }), [
    ...usual,
    "9902",
    "-o",
    "3306,65535",
  ]);
});

const badAnnotations: readonly (readonly [string, unknown, RegExp])[] = [
  ["traffic.kuma.io/exclude-inbound-ports", "80,http", /"http" is not a port/],
  ["traffic.kuma.io/exclude-inbound-ports", "80,", /"" is not a port/],
  ["traffic.kuma.io/exclude-inbound-ports", "0", /"0" is not a port: write numbers from 1 to 65535/],
  ["traffic.kuma.io/exclude-outbound-ports", "65536", /"65536" is not a port/],
  ["traffic.kuma.io/exclude-outbound-ports", "-1", /"-1" is not a port/],
  ["traffic.kuma.io/exclude-outbound-ports", 80, /80 has to be text/],
  [
    "traffic.kuma.io/exclude-outbound-ports",
    Array.from({ length: 101 }, (_, index) => index + 1).join(","),
    /it names 101 ports; 100 may be/,
  ],
  ["kuma.io/mesh", "Pilot", /"Pilot" can't be the name of a mesh: invalid characters/],
  ["kuma.io/mesh", "$(POD_NAME)", /can't be the name of a mesh/],
  ["kuma.io/mesh", "m".repeat(101), /cannot be longer than 100 characters/],
];
for (const [annotation, value, problem] of badAnnotations) {
  test(`is refused for ${annotation} ${JSON.stringify(value).slice(0, 20)}, which the denial names`, () => {
    const injection = inject(annotated({ [annotation]: value }), classic);
    if (injection.kind !== "refused") throw new Error(`not refused: ${injection.kind}`);
    assert.is(injection.code, 422);
    assert.equal(
      injection.causes.map(({ field }) => field),
      [`metadata.annotations["${annotation}"]`],
    );
    assert.match(injection.message, problem);
    assert.match(injection.message, annotation);
  });
}

const unreadable: readonly (readonly [unknown, RegExp])[] = [
  [undefined, /the object is missing/],
  ["pod", /the object is missing/],
  [{ apiVersion: "v1", kind: "Service" }, /no v1 Pod/],
  [{ apiVersion: "v2", kind: "Pod", spec: { containers: [] } }, /no v1 Pod/],
  [{ apiVersion: "v1", kind: "Pod" }, /spec is missing/],
  [{ apiVersion: "v1", kind: "Pod", spec: {} }, /spec.containers is missing/],
  [{ apiVersion: "v1", kind: "Pod", spec: { containers: {} } }, /spec.containers has to be a list/],
  [{ apiVersion: "v1", kind: "Pod", spec: { containers: [7] } }, /spec.containers\[0\] has to be an object/],
  [{ apiVersion: "v1", kind: "Pod", metadata: [], spec: { containers: [] } }, /metadata has to be an object/],
  [annotated([] as unknown as Raw), /metadata.annotations has to be an object/],
  [pod({}, { volumes: "none" }), /spec.volumes has to be a list/],
  [pod({}, { initContainers: [null] }), /spec.initContainers\[0\] has to be an object/],
];
for (const [object, problem] of unreadable) {
  test(`is refused for ${JSON.stringify(object)?.slice(0, 90)}`, () => {
    const injection = inject(object, classic);
    if (injection.kind !== "refused") throw new Error(`not refused: ${injection.kind}`);
    assert.is(injection.code, 400);
    assert.match(injection.message, problem);
  });
}

test("adds lists and maps as a whole where the pod has null", () => {
  const result = injected(pod({ annotations: null }, { volumes: null, initContainers: null }));
  assert.is(specOf(result).volumes.length, 3);
  assert.is(specOf(injected({ ...pod(), metadata: null })).initContainers.length, 1);
});

test("gives its volumes names that the pod has not taken", () => {
  const { volumes } = specOf(injected(pod({}, { volumes: [{ name: "kuma-token" }, { name: "kuma-token-2" }] })));
  const names = volumes.map(({ name }) => name);
  assert.equal(names, ["kuma-token", "kuma-token-2", "kuma-token-3", "kuma-sidecar-tmp", "kuma-init-tmp"]);
});

test("warns of containers that run as the sidecar's user or group, and that declare its ports", () => {
  const warnings = (spec: Raw) => {
    const injection = inject(pod({}, spec), classic);
    return injection.kind === "injected" ? injection.warnings : [];
  };
  const container = (fields: Raw) => ({ containers: [{ name: "web", ...fields }] });
  const asUser = 'container "web" runs as user 5678, like kuma-sidecar: its connections bypass the mesh';
  assert.equal(warnings({}), []);
  assert.equal(warnings(container({ securityContext: { runAsUser: 5678 } })), [asUser]);
  assert.equal(warnings({ securityContext: { runAsUser: 5678 } }), [asUser]);
  assert.equal(
    warnings({ securityContext: { runAsUser: 5678 }, ...container({ securityContext: { runAsUser: 1 } }) }),
    [],
  );
  assert.match(warnings(container({ securityContext: { runAsGroup: 5678 } }))[0] ?? "", "runs as group 5678");
  assert.equal(warnings(container({ ports: [{ containerPort: 9902 }, { containerPort: 8080 }] })), [
    'container "web" declares port 9902, which kuma-sidecar listens on',
  ]);
});

/** A field that no version of Kubernetes has, so that a typed model would drop it. */
const unknownField = { quantumEntangled: { with: ["other"] } };

test("keeps every field of any pod, adds nothing the second time, and never makes a name twice", () => {
  const random = seeded(runSeed);
  const maybe = <T>(value: T): T | undefined | null => random.pick([value, value, undefined, null]);
  const list = (prefix: string) =>
    Array.from({ length: random.below(5) }, (_, index) => ({
      name: `${prefix}-${index}`,
      ...unknownField,
      ports: maybe([{ containerPort: 1 + random.below(65_535) }]),
      securityContext: maybe({ runAsUser: 5677 + random.below(3) }),
    }));
  for (let round = 0; round < 300; round += 1) {
    const given = JSON.parse(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        ...unknownField,
        metadata: maybe({
          name: "web",
          labels: maybe({ app: "web" }),
          annotations: maybe({ "a/b~c": "d", ...(random.chance(0.5) ? { "kuma.io/mesh": "pilot" } : {}) }),
        }),
        spec: {
          ...unknownField,
          containers: [{ name: "web" }, ...list("app")],
          initContainers: maybe(list("init")),
          volumes: maybe([{ name: random.pick(["kuma-token", "kuma-init-tmp", "data"]), ...unknownField }]),
        },
      }),
    ) as Raw;
    const options = random.pick([classic, native]);
    const result = injected(given, options);
    contains(result, given, `seed ${runSeed}: pod`);
    for (const next of [classic, native]) {
      assert.equal(
        inject(result, next),
        { kind: "skipped", reason: "injected" },
        `seed ${runSeed}: ${JSON.stringify(given)}`,
      );
    }
    for (const field of ["containers", "initContainers", "volumes"] as const) {
      const names = specOf(result)[field].map(({ name }) => name);
      assert.equal(names, [...new Set(names)]);
    }
  }
});

/** Fails unless everything in `part` is in `whole`, lists in their order. */
function contains(whole: unknown, part: unknown, where: string): void {
  if (part === null) return;
  if (Array.isArray(part)) {
    const elements = whole as readonly { readonly name: string }[];
    for (const element of part as readonly { readonly name: string }[]) {
      contains(
        elements.find(({ name }) => name === element.name),
        element,
        `${where}.${element.name}`,
      );
    }
    return;
  }
  if (typeof part !== "object") {
    if (/annotations\.kuma\.io/.test(where)) return;
    assert.is(whole, part, where);
    return;
  }
  for (const [key, value] of Object.entries(part)) contains((whole as Raw)[key], value, `${where}.${key}`);
}

test.run();
