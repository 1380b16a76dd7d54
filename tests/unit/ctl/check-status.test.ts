import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { ago, assertHarmless, type Case, contextWith, found, now, problem, proxy, status } from "./check-stage.js";

const test = suite("kumactl check: what the control plane tells of itself and of its meshes");

const day = 24 * 3600;
const presented = (notBefore: Date, notAfter: Date, setting?: string) => ({
  sdsCertificate: { notBefore, notAfter, setting },
});
const withStatus = (more: Parameters<typeof status>[0], mtls = true) =>
  contextWith({ controlPlane: { status: async () => status(more), meshes: async () => [{ name: "default", mtls }] } });
const setting = "KUMA_SDS_SERVER_TLS_CERT_FILE";
const reason = "PostgreSQL at db:5432: it is a read-only replica";
const flood = { server: "xds", limit: "messages", times: 3, last: "2026-01-01T11:59:00.000Z" };

const statuses: readonly Case[] = [
  ["a store that takes writes", "store", withStatus({}), /^success: postgres$/],
  [
    "a store that takes none",
    "store",
    withStatus({ store: { type: "postgres", problem: reason } }),
    /^error: no change can be stored, .*: PostgreSQL at db:5432: it is a read-only replica FIX fix what the reason names/,
  ],
  [
    "a control plane that does not tell",
    "store",
    contextWith({ controlPlane: { status: async () => undefined } }),
    /^does not apply$/,
  ],
  ["a certificate that lives", "sds-certificate", withStatus({}), /^success: until 2035/],
  [
    "an expired certificate of the user's",
    "sds-certificate",
    withStatus(presented(ago(day), now, setting)),
    /^error: the certificate that the SDS server presents \(KUMA_SDS_SERVER_TLS_CERT_FILE\) expired at 2026-01-01T12:00:00\.000Z: .* FIX put a new certificate and its key into the files that KUMA_SDS_SERVER_TLS_CERT_FILE and KUMA_SDS_SERVER_TLS_KEY_FILE name, and restart kuma-cp/,
  ],
  [
    "an expired certificate of the control plane's own",
    "sds-certificate",
    withStatus(presented(ago(day), now)),
    /^error: the certificate that the SDS server presents expired .* FIX (?!.*delete)make a certificate with `kumactl generate tls-certificate/,
  ],
  [
    "a certificate of the future",
    "sds-certificate",
    withStatus(presented(ago(-60), ago(-day), setting)),
    /^error: .* is not valid before 2026-01-01T12:01:00\.000Z: .*clock/,
  ],
  [
    "an expired certificate that nobody needs yet",
    "sds-certificate",
    withStatus(presented(ago(day), now, setting), false),
    /^warning: .* expired/,
  ],
  [
    "a certificate that ends soon",
    "sds-certificate",
    withStatus(presented(ago(300 * day), ago(-29 * day), setting)),
    /^warning: .* expires in 696h0m0s FIX/,
  ],
  [
    "one with a short life, of which most is left",
    "sds-certificate",
    withStatus(presented(ago(day), ago(-day), setting)),
    /^success/,
  ],
  [
    "one with a short life, of which little is left",
    "sds-certificate",
    withStatus(presented(ago(day), ago(-day / 5), setting)),
    /^warning/,
  ],
  [
    "a certificate that is not told of",
    "sds-certificate",
    withStatus({ sdsCertificate: undefined }),
    /^does not apply$/,
  ],
  ["nobody refused", "limits", withStatus({}), /^success/],
  [
    "somebody refused",
    "limits",
    withStatus({ refusals: [flood] }),
    /^warning: the xds server rejected what exceeded its limit "messages", last at 2026-01-01T11:59:00\.000Z \(3 since it started\) FIX .*README\.md#limits/,
  ],
];

const troubled = (code: string) =>
  contextWith({ controlPlane: { proxies: async () => [proxy("a")], problems: problem(code, "it is so") } });

const traffic: readonly Case[] = [
  ...(
    [
      ["no-endpoint", "destinations", "error"],
      ["nowhere", "destinations", "error"],
      ["unusable", "destinations", "error"],
      ["unreachable", "destinations", "error"],
      ["not-permitted", "permissions", "warning"],
      ["no-listener", "templates", "warning"],
      ["not-logged", "logs", "warning"],
      ["no-backend", "logs", "warning"],
      ["idle-policy", "policies", "warning"],
    ] as const
  ).map(
    ([code, id, result]): Case => [code, id, troubled(code), new RegExp(`^${result}: mesh "default": it is so FIX .`)],
  ),
  ["what is another check's", "destinations", troubled("idle-policy"), /^success/],
  ["a mesh without dataplanes", "policies", contextWith(), /^does not apply$/],
  [
    "a control plane that doesn't look",
    "policies",
    contextWith({ controlPlane: { proxies: async () => [proxy("a")], problems: async () => undefined } }),
    /^does not apply$/,
  ],
];

const all = [...statuses, ...traffic];

test("no hint suggests deleting anything", () => assertHarmless(all));

for (const [what, id, context, expected] of all) {
  test(`${id}: ${what}`, async () => assert.match(await found(id, context), expected));
}

test.run();
