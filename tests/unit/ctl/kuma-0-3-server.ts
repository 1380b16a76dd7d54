import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, startServer } from "./stage.js";

type Document = Record<string, unknown>;

/** What Kuma 0.3.0 knows of each type besides type, mesh and name; it silently drops everything else. */
const known: Readonly<Record<string, { readonly type: string; readonly fields: readonly string[] }>> = {
  dataplanes: { type: "Dataplane", fields: ["networking"] },
  proxytemplates: { type: "ProxyTemplate", fields: ["selectors", "conf"] },
  "traffic-permissions": { type: "TrafficPermission", fields: ["sources", "destinations"] },
  "traffic-logs": { type: "TrafficLog", fields: ["sources", "destinations", "conf"] },
  "traffic-routes": { type: "TrafficRoute", fields: ["sources", "destinations", "conf"] },
};
const mesh = { type: "Mesh", fields: ["mtls", "logging", "tracing"] };
const envelope = ["type", "mesh", "name"];

/** go-restful: only a range that is written out, or everything, is taken; a route that produces nothing takes `*` alone. */
function accepts({ headers }: IncomingMessage, produced: readonly string[]): boolean {
  const ranges = (headers.accept ?? "*/*").split(",").map((range) => range.split(";", 1)[0]?.trim() ?? "");
  return ranges.some((range) => range === "*/*" || produced.includes(range));
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Empty lists and objects, and what is false or zero, are not part of its JSON. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([key, inner]) => [key, withoutDefaults(inner)] as const);
  return Object.fromEntries(
    fields.filter(
      ([, inner]) => !(inner === false || inner === 0 || inner === "" || (Array.isArray(inner) && inner.length === 0)),
    ),
  );
}

/**
 * A server that answers as the HTTP API and the token server of Kuma 0.3.0 do, over resources of its own: 406 for JSON
 * alone at its index and catalogue, 200 for every deletion, 404 in plain text for paths that later versions have.
 */
export async function startKuma03() {
  const resources = new Map<string, Document>([["meshes/default", { type: "Mesh", name: "default", mesh: "default" }]]);
  const requests: string[] = [];

  function find(path: string): Document | undefined {
    return resources.get(path);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://server");
    const path = url.pathname.replace(/^\/|\/$/g, "");
    requests.push(`${request.method} /${path}`);
    const text = (status: number, words: string) => response.writeHead(status).end(`${status}: ${words}`);
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    const notFound = (title: string) => json(404, { title, details: "Not found" });

    if (path === "tokens") {
      // Neither the method nor fields that it doesn't know make a difference to it.
      const { name, mesh: home } = JSON.parse(await bodyOf(request)) as { name?: string; mesh?: string };
      const token = [encode({ alg: "HS256", typ: "JWT" }), encode({ Name: name, Mesh: home }), "c2ln"].join(".");
      return void response.writeHead(200, { "content-type": "text/plain" }).end(token);
    }
    if (path === "" || path === "catalogue") {
      if (!accepts(request, [])) return void text(406, "Not Acceptable");
      const local = `http://${request.headers.host}`;
      const apis = { bootstrap: { url: local }, dataplaneToken: { localUrl: local, publicUrl: "" } };
      return void json(200, path === "" ? { tagline: "Kuma", version: "0.3.0" } : { apis });
    }
    const [meshes, home, collection, name, ...more] = path.split("/").map(decodeURIComponent);
    const isMesh = collection === undefined;
    const overviews = collection === "dataplanes+insights";
    const definition = isMesh ? mesh : known[overviews ? "dataplanes" : collection];
    if (meshes !== "meshes" || definition === undefined || more.length > 0) return void text(404, "Page Not Found");
    if (!accepts(request, ["application/json"])) return void text(406, "Not Acceptable");

    const isList = isMesh ? home === undefined : name === undefined;
    if (isList) {
      if (request.method !== "GET") return void text(405, "Method Not Allowed");
      const prefix = isMesh ? "meshes/" : `meshes/${home}/${overviews ? "dataplanes" : collection}/`;
      const depth = prefix.split("/").length;
      const items = [...resources].filter(([key]) => key.startsWith(prefix) && key.split("/").length === depth);
      return void json(200, { items: items.map(([, document]) => (overviews ? overviewOf(document) : document)) });
    }
    if (request.method === "GET") {
      const found = find(path);
      return void (found === undefined ? notFound("Could not retrieve a resource") : json(200, found));
    }
    if (request.method === "DELETE") {
      resources.delete(path);
      return void response.writeHead(200).end();
    }
    if (request.headers["content-type"] !== "application/json") return void text(415, "Unsupported Media Type");
    const sent = JSON.parse(await bodyOf(request)) as Document;
    if (sent.type !== definition.type) {
      const causes = [{ field: "type", message: "type from the URL has to be the same as in body" }];
      return void json(400, { title: "Could not process a resource", details: "Resource is not valid", causes });
    }
    const kept = Object.entries(sent).filter(([key]) => [...envelope, ...definition.fields].includes(key));
    const existed = resources.has(path);
    resources.set(path, withoutDefaults({ ...Object.fromEntries(kept), mesh: home }) as Document);
    response.writeHead(existed ? 200 : 201).end();
  }

  function overviewOf({ type: _type, networking, ...more }: Document): Document {
    const subscription = { id: "1", controlPlaneInstanceId: "cp", connectTime: "2019-12-01T10:00:00Z", status: {} };
    return {
      type: "DataplaneOverview",
      ...more,
      dataplane: { networking },
      dataplaneInsight: { subscriptions: [subscription] },
    };
  }

  const server = await startServer((request, response) => void answer(request, response));
  return { ...server, resources, requests };
}
