import { registry } from "../../../src/resources/registry.js";
import { damaged, mutatedJson } from "../../support/mutation.js";
import { randomMesh } from "../../support/random-mesh.js";
import type { Random } from "../form/soak.js";
import { type Bytes, raw, text } from "./attack.js";

/** The mesh that fuzzed resources go to; the honest clients live in another. */
export const fuzzedMesh = "m";

/** A request to the API, before it is written as HTTP. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: Bytes;
}

const visible = registry.types.filter(({ access }) => access !== "internal");

function pathOf(typeName: string, name: string): string {
  const type = registry.byName(typeName);
  const segment = encodeURIComponent(name.toWellFormed()) || "x";
  if (type === undefined || type.scope === "global") return `/meshes/${segment}`;
  return `/meshes/${fuzzedMesh}/${type.path}/${segment}`;
}

/** A resource of some type: most are valid, some nearly so. */
function resource(random: Random): Readonly<Record<string, unknown>> {
  const type = random.pick(visible);
  const known = randomMesh(random, random.below(200)).filter((document) => document.type === type.name);
  return known[0] ?? { type: type.name, mesh: fuzzedMesh, name: "p0", spec: { anything: random.below(9) } };
}

export function writeRequest(random: Random): Request {
  const document = resource(random);
  const path = pathOf(String(document.type), String(document.name));
  const json = random.chance(0.3) ? JSON.stringify(document) : mutatedJson(document, random);
  const body = random.chance(0.1) ? raw(damaged(json, random)) : text(json);
  return { method: random.pick(["PUT", "PUT", "PUT", "PUT", "POST", "PATCH"]), path, body };
}

export function readRequest(random: Random): Request {
  const type = random.pick(visible);
  const paths = [
    ...[
      "/",
      "/meshes",
      "/config",
      "/catalog",
      "/versions",
      `/meshes/${fuzzedMesh}`,
      "/meshes/default/certificate-authority",
    ],
    `/meshes/default/${type.path}`,
    `/meshes/${fuzzedMesh}/${type.path}`,
    `/meshes/${fuzzedMesh}/${type.path}/p0`,
    `/meshes/default/${type.path}?size=${random.pick(["1", "-1", "x", "99999999999999999999"])}&offset=${random.pick(["0", "-5", "x"])}`,
    `/meshes/default/dataplanes+insights?${"tag=service:web&".repeat(random.pick([1, 500]))}tag=__proto__:x`,
    `/${type.path}/__proto__`,
    `/meshes/__proto__/${type.path}/constructor`,
  ];
  return { method: random.pick(["GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE"]), path: random.pick(paths) };
}

/** A ProxyTemplate around a raw resource that is escaped as JSON wants it. */
const template = (escaped: Bytes): Bytes => [
  text(`{"type":"ProxyTemplate","mesh":"${fuzzedMesh}","name":"p0","imports":[],`),
  text('"resources":[{"name":"a","version":"1","resource":"'),
  escaped,
  text('"}]}'),
];
const yaml = (document: string): Bytes => template(text(JSON.stringify(document).slice(1, -1)));

/** YAML that grows when it is read, as a raw resource of a ProxyTemplate. */
function yamlBomb(random: Random): Bytes {
  const cluster = "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: x\n";
  const aliases = Array.from({ length: 12 }, (_, level) =>
    level === 0
      ? "a0: &a0 [x,x,x,x,x,x,x,x]"
      : `a${level}: &a${level} [${Array(8)
          .fill(`*a${level - 1}`)
          .join()}]`,
  );
  const nested = (open: string, times: number): Bytes => template([text("a: "), { repeat: text(open), times }]);
  return random.pick([
    () => yaml(`${cluster}${aliases.join("\n")}\n`),
    () => yaml(`&a\n${cluster}metadata: *a\n`),
    () => nested("[", 100_000),
    () => nested("{a: ", 20_000),
    () => template([{ repeat: text("--- a\\n"), times: 100_000 }]),
    () => template([text("a: '"), { repeat: text("''"), times: 200_000 }]),
    () => template([text("? "), { repeat: text("a"), times: 400_000 }, text("\\n: 1")]),
    () => template([text("!!js/function 'x'")]),
  ])();
}

const permission = (conf: Bytes): Bytes => [
  text(
    `{"type":"TrafficPermission","mesh":"${fuzzedMesh}","name":"p0","rules":[{"sources":[{"match":{"service":"a"}}],`,
  ),
  text('"destinations":[{"match":{"service":"a"}}],"conf":'),
  conf,
  text("}]}"),
];

const numberedMembers = (times: number): Bytes => [
  text("{"),
  { repeat: text('"k000000":1,'), times, rising: { at: [2], by: 1, as: "digits" } },
  text('"last":1}'),
];

const dataplane = (inbound: Bytes): Bytes => [
  text(`{"type":"Dataplane","mesh":"${fuzzedMesh}","name":"d0","networking":{"inbound":[`),
  inbound,
  text("]}}"),
];
const inbound = (service: string) => `{"interface":"127.0.0.1:1:2","tags":{"service":"${service}"}}`;

/** A body of up to a MiB that costs more to read than to write. */
export function bombRequest(random: Random): Request {
  const deep = (open: string, inner: string, close: string, times: number): Bytes =>
    permission([{ repeat: text(open), times }, text(inner), { repeat: text(close), times }]);
  const sizes = [100, 2_000, 40_000];
  const times = random.pick(sizes);
  const permissions = () =>
    random.pick<() => Bytes>([
      () => deep("[", "", "]", times * 10),
      () => deep('{"a":', "1", "}", times * 3),
      () => permission(numberedMembers(times * 2)),
      () => permission([text('{"n":'), { repeat: text("9"), times: times * 20 }, text("}")]),
      () => permission([text('"'), { repeat: text("\\ud800"), times: times * 4 }, text('"')]),
      () => permission([text("{"), { repeat: text('"same":1,'), times: times * 2 }, text('"same":2}')]),
      () => permission(text('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')),
    ])();
  const dataplanes = () => {
    const [before, after = ""] = inbound("\0").split("\0");
    const one: Bytes = [text(`${before}`), text("000000"), text(`${after},`)];
    const at = Buffer.byteLength(before ?? "");
    return dataplane([
      { repeat: one, times: Math.ceil(times / 4), rising: { at: [at], by: 1, as: "digits" } },
      text(inbound("last")),
    ]);
  };
  const mesh = (): Bytes => [
    text(
      `{"type":"Mesh","name":"${fuzzedMesh}","logging":{"backends":[{"name":"a","file":{"path":"/dev/null"},"format":"`,
    ),
    { repeat: text(random.pick(["%A(", "%START_TIME(%Y", "%%", "%NOPE%"])), times },
    text('"}]}}'),
  ];
  const to = (segment: string) => `/meshes/${fuzzedMesh}/${segment}`;
  return random.pick<() => Request>([
    () => ({ method: "PUT", path: to("traffic-permissions/p0"), body: permissions() }),
    () => ({ method: "PUT", path: to("traffic-permissions/p0"), body: permissions() }),
    () => ({ method: "PUT", path: to("dataplanes/d0"), body: dataplanes() }),
    () => ({ method: "PUT", path: to("proxytemplates/p0"), body: yamlBomb(random) }),
    () => ({ method: "PUT", path: to("proxytemplates/p0"), body: yamlBomb(random) }),
    () => ({ method: "PUT", path: `/meshes/${fuzzedMesh}`, body: mesh() }),
  ])();
}
