/** What a request asks of the API server, as its access rules see it. */
export interface ApiRequest {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or the method in lower case. */
  readonly verb: string;
  /** Plural with the subresource, such as `pods` or `pods/status`; a path such as `/version` for what is none. */
  readonly resource: string;
  readonly group: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

const objectVerbs: Readonly<Record<string, string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
const collectionVerbs: Readonly<Record<string, string>> = { ...objectVerbs, GET: "list", DELETE: "deletecollection" };

/** Reads the verb and resource from a method and a URL's path with query. */
export function apiRequest(method: string, place: string): ApiRequest {
  const { pathname, searchParams } = new URL(place, "https://api");
  const match =
    /^\/(?:api\/[^/]+|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/([^/]+)\/(?!(?:finalize|status)$)(?=[^/]))?([^/]+)(?:\/([^/]+))?(?:\/(.+))?$/.exec(
      pathname,
    );
  if (match === null) {
    return { verb: method.toLowerCase(), resource: pathname, group: "", namespace: undefined, name: undefined };
  }
  const [, group = "", namespace, plural = "", name, sub] = match;
  const resource = sub === undefined ? plural : `${plural}/${sub}`;
  const watches = method === "GET" && /^(true|1)$/.test(searchParams.get("watch") ?? "");
  const verb = watches
    ? "watch"
    : ((name === undefined ? collectionVerbs : objectVerbs)[method] ?? method.toLowerCase());
  return { verb, resource, group, namespace, name };
}
