import { bool, ipAddress, port } from "../../lib/settings.js";
import { type Check, failure, type Outcome, success } from "./check.js";
import type { CheckContext, Machine, PortRefusal } from "./context.js";
import { answersAsKuma, settingAt } from "./control-plane.js";

type Env = Machine["env"];

/** A server of the control plane and the setting of its port. */
interface Server {
  readonly id: string;
  readonly what: string;
  /** The path of the setting in kuma-cp's settings. */
  readonly path: string;
  readonly variable: string;
  readonly preset: number;
  /** The address it listens on; all interfaces by default. */
  readonly host?: (env: Env) => string;
  readonly runs?: (env: Env) => boolean;
}

const tokenServer = "KUMA_DATAPLANE_TOKEN_SERVER_ENABLED";
const apiInterface = "KUMA_API_SERVER_INTERFACE";

/** The servers of every control plane. A test compares them with kuma-cp's settings. */
export const servers: readonly Server[] = [
  {
    id: "port-sds",
    what: "SDS server",
    path: "sdsServer.grpcPort",
    variable: "KUMA_SDS_SERVER_GRPC_PORT",
    preset: 5677,
  },
  {
    id: "port-xds",
    what: "xDS server",
    path: "xdsServer.grpcPort",
    variable: "KUMA_XDS_SERVER_GRPC_PORT",
    preset: 5678,
  },
  {
    id: "port-tokens",
    what: "token server",
    path: "dataplaneTokenServer.local.port",
    variable: "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT",
    preset: 5679,
    host: () => "127.0.0.1",
    runs: (env) => !env[tokenServer] || bool(env[tokenServer], tokenServer),
  },
  {
    id: "port-health",
    what: "health server",
    path: "xdsServer.diagnosticsPort",
    variable: "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
    preset: 5680,
  },
  {
    id: "port-api",
    what: "HTTP API",
    path: "apiServer.port",
    variable: "KUMA_API_SERVER_PORT",
    preset: 5681,
    host: (env) => (env[apiInterface] ? ipAddress(env[apiInterface], apiInterface) : "0.0.0.0"),
  },
  {
    id: "port-bootstrap",
    what: "bootstrap server",
    path: "bootstrapServer.port",
    variable: "KUMA_BOOTSTRAP_SERVER_PORT",
    preset: 5682,
  },
];

/** Whether the configured control plane runs on this machine and uses this port. */
async function isOurs({ controlPlane }: CheckContext, { path }: Server, wanted: number): Promise<boolean> {
  if (!(await controlPlane.isLocal()) || !(await answersAsKuma(controlPlane))) return false;
  return settingAt(await controlPlane.settings(), path) === wanted;
}

function refused({ error, taken, holder }: PortRefusal, { variable }: Server, wanted: number): Outcome {
  const elsewhere = `give the control plane another port with ${variable}`;
  if (holder !== undefined) {
    const who = `${holder.program} (process ${holder.pid})`;
    return failure(`port ${wanted} is taken by ${who}`, `stop ${who}, or ${elsewhere}`);
  }
  if (!taken) return failure(error.message, elsewhere);
  const look = `\`ss -ltnp 'sport = :${wanted}'\`, as root, shows who has the port`;
  return failure(`port ${wanted} is taken`, `${look}; stop that program, or ${elsewhere}`);
}

/**
 * Applies before an installation, and when the control plane that should run on this machine does not: a taken port
 * prevents it from starting.
 */
async function applies({ scope, controlPlane }: CheckContext): Promise<boolean> {
  return scope.pre || ((await controlPlane.isLocal()) && !(await answersAsKuma(controlPlane)));
}

function portCheck(server: Server): Check {
  const { variable, preset, host, runs } = server;
  return {
    id: server.id,
    anchor: "check-ports",
    description: `the port of the ${server.what} is free`,
    applies,
    async run(context) {
      const { env } = context.machine;
      if (runs?.(env) === false) return success("this server is switched off");
      const wanted = env[variable] ? port(env[variable], variable) : preset;
      if (wanted === 0) return success("any free one");
      const binding = { port: wanted, setting: variable, ...(host === undefined ? {} : { host: host(env) }) };
      const refusal = await context.machine.tryPort(binding);
      if (refusal === undefined) return success(String(wanted));
      if (await isOurs(context, server, wanted)) return success(`${wanted}, taken by the control plane itself`);
      return refused(refusal, server, wanted);
    },
  };
}

export const portChecks: readonly Check[] = servers.map(portCheck);
