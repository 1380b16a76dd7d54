/**
 * The Unix socket of a server, when its host is the absolute path of a directory; undefined for a host of the network.
 * PostgreSQL speaks no TLS on it.
 */
export const unixSocketPath = ({ host, port }: { readonly host: string; readonly port: number }): string | undefined =>
  host.startsWith("/") ? `${host.replace(/\/+$/, "")}/.s.PGSQL.${port}` : undefined;

/** Where a server is, for messages. */
export const placeText = (place: { readonly host: string; readonly port: number }): string =>
  unixSocketPath(place) ?? `${place.host}:${place.port}`;
