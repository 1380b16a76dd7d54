/**
 * The path of the server's Unix socket, if the host is the absolute path of a directory; undefined for a network host.
 * PostgreSQL does not support TLS on it.
 */
export const unixSocketPath = ({ host, port }: { readonly host: string; readonly port: number }): string | undefined =>
  host.startsWith("/") ? `${host.replace(/\/+$/, "")}/.s.PGSQL.${port}` : undefined;

/** The server's address, for messages. */
export const placeText = (place: { readonly host: string; readonly port: number }): string =>
  unixSocketPath(place) ?? `${place.host}:${place.port}`;
