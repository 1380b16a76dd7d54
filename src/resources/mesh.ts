import type { Cause } from "../lib/errors.js";
import type { Steps } from "../lib/steps.js";
import { logFormatProblem } from "./log-format.js";
import { resourceType } from "./resource.js";
import { flag, text, uint32 } from "./scalars.js";
import { type Infer, limits, list, object } from "./schema.js";

const empty = object({});

const loggingBackend = object({
  name: text(),
  format: text({ longest: limits.logFormatCharacters }),
  file: object({ path: text() }),
  tcp: object({ address: text() }),
});

const meshSchema = object({
  mtls: object({
    enabled: flag(),
    ca: object({ builtin: empty, provided: empty }),
  }),
  /** Has no effect, like `metrics` and `logging.accessLogs`: other versions of Kuma use them. */
  tracing: object({ zipkin: object({ address: text() }) }),
  logging: object({
    defaultBackend: text(),
    backends: list(loggingBackend, limits.loggingBackends),
    accessLogs: object({ enabled: flag(), filePath: text() }),
  }),
  metrics: object({ prometheus: object({ port: uint32(), path: text() }) }),
});

export type LoggingBackend = Infer<typeof loggingBackend>;
export type Mesh = Infer<typeof meshSchema>;

/** Whether mTLS is enabled in a mesh; false for an unknown mesh. */
export const mtlsEnabled = (mesh: Mesh | undefined): boolean => mesh?.mtls?.enabled === true;

/** The default CA is the built-in one. */
function defaults(spec: Mesh): Mesh {
  const { mtls, ...others } = spec;
  if (mtls?.ca?.builtin !== undefined || mtls?.ca?.provided !== undefined) return spec;
  // In the schema's order, so that writing back what was read is not a change.
  return { mtls: { ...mtls, ca: { builtin: {}, ...mtls?.ca } }, ...others };
}

const cannotBeEmpty = "cannot be empty";
// The address becomes the prefix of every log line, followed by a semicolon.
const hostAndPort = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/;

function isHostAndPort(address: string): boolean {
  const port = Number(hostAndPort.exec(address)?.[1]);
  return port >= 1 && port <= 65_535;
}

function validateBackend({ name = "", format = "", file, tcp }: LoggingBackend, path: string, causes: Cause[]): void {
  if (name === "") causes.push({ field: `${path}.name`, message: cannotBeEmpty });
  if ((file === undefined) === (tcp === undefined)) {
    causes.push({ field: path, message: 'must have exactly one of "file" and "tcp"' });
  }
  const problem = logFormatProblem(format);
  if (problem !== undefined) causes.push({ field: `${path}.format`, message: problem });
  if (file !== undefined && (file.path ?? "") === "")
    causes.push({ field: `${path}.file.path`, message: cannotBeEmpty });
  if (tcp === undefined) return;
  const address = tcp.address ?? "";
  if (address === "") causes.push({ field: `${path}.tcp.address`, message: cannotBeEmpty });
  else if (!isHostAndPort(address)) {
    causes.push({ field: `${path}.tcp.address`, message: "has to be in format HOST:PORT" });
  }
}

function validateCa({ mtls }: Mesh, causes: Cause[]): void {
  const { builtin, provided } = mtls?.ca ?? {};
  if (mtls?.enabled === true && builtin === undefined && provided === undefined) {
    causes.push({ field: "mtls.ca", message: "has to be set when mTLS is enabled" });
  }
  if (builtin !== undefined && provided !== undefined) {
    causes.push({ field: "mtls.ca", message: 'must have exactly one of "builtin" and "provided"' });
  }
  // Uploading a CA needs an admin server, which this version does not have.
  if (provided !== undefined) {
    const message = 'no signing certificate uploaded yet for this mesh; this version only has the "builtin" CA';
    causes.push({ field: "mtls.ca.provided", message });
  }
}

function* validation(spec: Mesh): Steps<Cause[]> {
  const causes: Cause[] = [];
  validateCa(spec, causes);
  const { backends = [], defaultBackend = "" } = spec.logging ?? {};
  const names = new Set<string>();
  for (const [index, backend] of backends.entries()) {
    yield;
    const path = `logging.backends[${index}]`;
    validateBackend(backend, path, causes);
    const { name = "" } = backend;
    if (names.has(name)) {
      causes.push({
        field: `${path}.name`,
        message: `${JSON.stringify(name)} name is already used for another backend`,
      });
    }
    if (name !== "") names.add(name);
  }
  if (defaultBackend !== "" && !names.has(defaultBackend)) {
    causes.push({
      field: "logging.defaultBackend",
      message: "has to be set to one of the logging backends in the mesh",
    });
  }
  return causes;
}

/** Fields that other versions of Kuma use, and this one only stores. */
function warnings({ tracing, metrics, logging }: Mesh): string[] {
  const parts = { tracing, metrics, "logging.accessLogs": logging?.accessLogs };
  const written = Object.entries(parts).flatMap(([name, part]) => (part === undefined ? [] : [`"${name}"`]));
  if (written.length === 0) return [];
  return [`${written.join(" and ")} ${written.length > 1 ? "have" : "has"} no effect in this version`];
}

export const meshType = resourceType<Mesh>({
  name: "Mesh",
  scope: "global",
  path: "meshes",
  summary: "A service mesh: Dataplanes and policies that belong together, with a certificate authority of its own.",
  cli: { singular: "mesh", plural: "meshes", aliases: [] },
  schema: meshSchema,
  defaults,
  validation,
  warnings,
  columns: [
    { title: "NAME", cell: ({ name }) => name },
    { title: "mTLS", cell: ({ spec }) => (mtlsEnabled(spec) ? "on" : "off") },
  ],
});
