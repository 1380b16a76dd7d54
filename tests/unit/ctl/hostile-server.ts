import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** What takes a terminal over, hides or reorders text, or forges a line of its own. */
export const steering = [
  "\u001b]0;taken over\u0007",
  "\u001b[2J\u001b[35m",
  "\r\nforged   all is well",
  "\u009b31m\u0085\u007f",
  "\u2028forged\u2029",
  "\u202e\u2066\u200f\ufeff\u{e0001}",
].join("");

/** How the server treats whoever asks: with well-formed answers, with our error body, or with anything at all. */
export type Manner = "answers" | "refuses" | "raves";

const said = (word: string) => word + steering;
const tags = () => ({ [said("key")]: said("value"), service: said("service") });
const time = "2026-01-01T00:00:00Z";

function overview(mesh: string) {
  const refused = [{ type: said("lds"), name: said("listener"), reason: said("cannot bind") }];
  const open = (id: string) => ({ id, connectTime: time, status: { total: { responsesSent: "1" }, refused } });
  return {
    type: "DataplaneOverview",
    mesh,
    name: said("dataplane"),
    dataplane: { networking: { inbound: [{ interface: said("1"), tags: tags() }] } },
    dataplaneInsight: {
      subscriptions: [open("1"), open("2")],
      mTLS: { refusal: { time, reason: said("no token") } },
    },
  };
}

const match = () => ({
  name: said("policy"),
  rule: said("rules[0]"),
  source: tags(),
  destination: tags(),
  selector: tags(),
  applies: true,
  reason: said("reason"),
  backend: said("backend"),
  as: said("as"),
});

const policies = () => ({
  mesh: said("mesh"),
  dataplane: said("dataplane"),
  proxyTemplates: [match()],
  inbounds: [{ address: said("a"), port: 1, tags: [tags()], allowed: [said("web")], trafficPermissions: [match()] }],
  outbounds: [
    {
      address: said("a"),
      port: 1,
      service: said("service"),
      trafficRoutes: [match()],
      shares: [{ weight: 1, destination: tags(), healthChecks: [match()] }],
      trafficLogs: [match()],
    },
  ],
});

const certificate = () => ({ state: said("valid"), notAfter: said("never"), reason: said("reason") });
const listener = () => ({ state: said("state"), reason: said("reason"), earlier: true, raw: true });

const traffic = () => ({
  mesh: said("mesh"),
  from: said("web"),
  to: said("redis"),
  mtls: true,
  verdict: said("allowed"),
  withMtls: said("allowed"),
  connects: said("always"),
  permissions: [match()],
  problems: ["offline", "no-outbound", "refused", "nowhere", said("code")].map((code) => ({
    code,
    message: said("message"),
    dataplanes: [said("dataplane")],
  })),
  sources: [
    {
      dataplane: said("dataplane"),
      online: true,
      certificate: certificate(),
      outbounds: [{ address: said("a"), port: 1, listener: listener() }],
      connects: said("always"),
    },
  ],
  routes: [
    {
      sources: [said("web")],
      services: [said("redis")],
      route: match(),
      destinations: [
        {
          weight: 1,
          destination: tags(),
          healthCheck: said("check"),
          endpoints: [
            {
              dataplane: said("dataplane"),
              address: said("a"),
              port: 1,
              tags: tags(),
              online: true,
              certificate: certificate(),
              listener: listener(),
              allowed: true,
              permissions: [{ name: said("permission"), rule: said("rule") }],
              connects: true,
            },
          ],
          connects: said("always"),
        },
      ],
      connects: said("always"),
    },
  ],
  advice: [
    { effect: said("allow"), apply: { type: "TrafficPermission", name: said("permission"), rules: [tags()] } },
    { effect: "deny", delete: { type: said("TrafficPermission"), mesh: said("mesh"), name: said("permission") } },
    { effect: "deny", narrow: { type: said("TrafficPermission"), mesh: said("mesh"), name: said("permission") } },
  ],
});

const resource = () => ({ [said("key")]: said("value") });

const xds = () => ({
  mesh: said("mesh"),
  dataplane: said("dataplane"),
  settled: false,
  streams: [
    {
      resources: ["sent", "refused", said("state")].map((state) => ({
        type: "lds",
        name: said("listener"),
        state,
        version: said("version"),
        reason: said("reason"),
        resource: resource(),
      })),
      differences: ["refused", said("state")].map((state) => ({
        type: said("lds"),
        name: said("listener"),
        state,
        reason: said("reason"),
        wanted: { version: said("1"), resource: resource() },
        acknowledged: { version: said("2"), resource: { other: said("value") } },
      })),
    },
  ],
  missingSecrets: [said("secret")],
  elsewhere: [said("instance")],
});

const authority = () => ({ mesh: "default", state: "unusable", reason: said("reason"), waitingFor: [said("a")] });

/** The document at a path, as this server would have it. */
function document(path: string, base: string): unknown {
  const collection = path.split("/").at(-1) ?? "";
  if (path === "/") return { tagline: "Kuma", version: said("0.3.0") };
  if (path === "/config") return { apiServer: { interface: "127.0.0.1" }, [said("key")]: said("value") };
  if (path === "/catalog" || path === "/catalogue") {
    return { apis: { bootstrap: { url: said(base) }, dataplaneToken: { localUrl: base, publicUrl: said(base) } } };
  }
  if (path === "/meshes") {
    return { items: ["default", said("mesh")].map((name) => ({ type: "Mesh", name, mtls: { enabled: true } })) };
  }
  if (path === "/certificate-authorities") return { items: [authority(), { ...authority(), state: said("state") }] };
  if (collection === "rotate") return authority();
  if (collection === "dataplanes+insights") return { items: [overview("default"), overview(said("mesh"))] };
  if (collection === "policies") return policies();
  if (collection === "explain") return traffic();
  if (collection === "problems") {
    const codes = ["no-endpoint", "not-permitted", "certificate-missing", said("code")];
    return { problems: codes.map((code) => ({ code, message: said("message"), dataplanes: [said("dataplane")] })) };
  }
  if (path === "/status") {
    const refusal = { server: said("xds"), limit: said("limit"), times: 1, last: said(time) };
    const sdsCertificate = { notBefore: time, notAfter: time, setting: said("SETTING") };
    return {
      store: { type: said("postgres"), writable: false, reason: said("full") },
      sdsCertificate,
      refusals: [refusal],
    };
  }
  if (collection === "xds") return xds();
  if (collection === "secrets") return { items: [{ type: "Secret", name: said("secret"), data: "QQ==" }] };
  if (collection === "dataplanes") {
    const networking = { inbound: [{ interface: said("1"), tags: tags() }] };
    return { items: [{ type: "Dataplane", mesh: said("mesh"), name: said("dataplane"), networking }] };
  }
  if (/^\/meshes\/[^/]+\/[^/]+$/.test(path)) {
    return { items: [{ type: said("type"), mesh: said("mesh"), name: said("name"), [said("key")]: said("value") }] };
  }
  return { type: said("type"), name: said("name"), mesh: said("mesh"), [said("key")]: said("value") };
}

const errorBody = {
  title: said("title"),
  details: said("details"),
  causes: [{ field: said("field"), message: said("message") }],
};

/** A control plane that means ill. */
export function hostileServer(manner: () => Manner, base: () => string): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    const path = (request.url ?? "").split("?")[0] ?? "";
    const reply = (status: number, value: unknown) => {
      response.writeHead(status, { "content-type": "application/json", warning: '299 - "beware\u009b2J"' });
      response.end(typeof value === "string" ? value : JSON.stringify(value));
    };
    switch (manner()) {
      case "answers":
        if (request.method === "POST" && path === "/tokens") return reply(200, said("token"));
        return reply(200, document(path, base()));
      case "refuses":
        // Otherwise nothing of what follows would be asked for.
        if (path.startsWith("/catalog")) return reply(200, document(path, base()));
        if (request.url?.includes("dry-run=unsure"))
          return reply(400, { ...errorBody, causes: [{ field: "dry-run", message: "" }] });
        return reply(request.url?.includes("rotate") ? 409 : 400, errorBody);
      case "raves":
        // Of what no control plane says, the title of a page is shown.
        return reply(500, said("<html><title>page "));
    }
  };
}
