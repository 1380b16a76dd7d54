import type { ListenOptions, Server } from "node:net";
import { UserError } from "../lib/errors.js";

export interface Binding {
  /** 0 takes any free port. */
  readonly port: number;
  /** An IP address; default: all addresses of the machine. */
  readonly host?: string;
  /** The setting that changes this server's port, such as `KUMA_API_SERVER_PORT`. */
  readonly setting: string;
  /** What port 0 means in that setting; default: any free port. */
  readonly zero?: string;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is already taken",
  EACCES: "this user may not open it",
  EADDRNOTAVAIL: "this machine does not have that address",
  ENOTFOUND: "this name has no address",
};

/** The error for a port that could not be bound; it names the setting to change. */
export function bindError({ port, host, setting, zero = "any free port" }: Binding, error: unknown): UserError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const problem = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  const address = host === undefined ? `port ${port}` : `${host}, port ${port}`;
  return UserError.of("port.unavailable", { address, problem, setting, zero }, { cause: error });
}

/**
 * Opens a server's port.
 * @returns the port it listens on
 * @throws NodeJS.ErrnoException when the port can't be bound
 */
export function bind(server: Server, options: ListenOptions & { readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : options.port);
    });
  });
}

/** As `bind`. Throws UserError("port.unavailable"). */
export function listen(server: Server, binding: Binding): Promise<number> {
  const { port, host } = binding;
  return bind(server, host === undefined ? { port } : { port, host }).catch((error: unknown) => {
    throw bindError(binding, error);
  });
}
