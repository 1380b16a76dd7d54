import * as assert from "uvu/assert";
import { table } from "../../../src/cp/settings.js";
import { servers } from "../../../src/ctl/check/port-checks.js";
import { renewalDue } from "../../../src/ctl/check/proxy-checks.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";
import { ago, assertHarmless, type Case, contextWith, found, now, problem, proxy, status } from "./check-stage.js";

const test = suite("kumactl check: what each check finds");

const unreachable = async () => {
  throw UserError.of("api.unreachable", { address: "http://it", reason: "connect ECONNREFUSED" });
};
const index = (more: object) => async () => ({ status: 200, tagline: "Kuma", version: "0.3.0", ahead: 0, ...more });
const proxies = (...all: ReturnType<typeof proxy>[]) => ({ controlPlane: { proxies: async () => all } });
const refusal = (more: object) => async () => ({
  error: UserError.of("port.unavailable", {
    address: "port 5681",
    problem: "this user may not open it",
    setting: "KUMA_API_SERVER_PORT",
    zero: "any free port",
  }),
  taken: true,
  holder: undefined,
  ...more,
});
const remote = { address: async () => new URL("http://cp.example.com:5681"), isLocal: async () => false };

const machine: readonly Case[] = [
  ["glibc as Envoy needs it", "libc", contextWith({ machine: { glibc: () => "2.31" } }), /^success: glibc 2\.31$/],
  ["a later major version", "libc", contextWith({ machine: { glibc: () => "3.0" } }), /^success/],
  [
    "glibc too old for Envoy",
    "libc",
    contextWith({ machine: { glibc: () => "2.30" } }),
    /^error: glibc is 2\.30, but Envoy needs 2\.31 or newer FIX .*Debian 11/,
  ],
  [
    "glibc too old for all",
    "libc",
    contextWith({ machine: { glibc: () => "2.9" } }),
    /^error: .*Envoy needs 2\.31 and kuma needs 2\.28/,
  ],
  ["no glibc", "libc", contextWith({ machine: { glibc: () => undefined } }), /^error: this system has no glibc FIX/],
  [
    "no Envoy",
    "envoy",
    contextWith({
      machine: {
        findEnvoy() {
          throw UserError.of("envoy.not-found", {
            setting: "",
            what: "an executable Envoy",
            places: " nowhere",
          });
        },
      },
    }),
    /^warning: there is no executable Envoy in PATH, next to kuma-dp .* FIX .*--binary-path/,
  ],
  [
    "an Envoy that the environment names and that is none",
    "envoy",
    contextWith({
      machine: {
        env: { KUMA_DATAPLANE_RUNTIME_BINARY_PATH: "/x" },
        findEnvoy() {
          throw UserError.of("envoy.not-executable", {
            setting: "KUMA_DATAPLANE_RUNTIME_BINARY_PATH",
            configured: "/x",
            file: "/x",
            problem: "does not exist",
          });
        },
      },
    }),
    /^error: KUMA_DATAPLANE_RUNTIME_BINARY_PATH \/x is not an Envoy: \/x does not exist FIX .*unset it/,
  ],
  [
    "an Envoy that can't run",
    "envoy",
    contextWith({ machine: { diagnoseEnvoy: async () => "glibc 2.34 is asked for" } }),
    /^error: \/opt\/kuma\/bin\/envoy cannot run here: glibc 2\.34 is asked for FIX/,
  ],
];

const ports: readonly Case[] = [
  ["a control plane that answers has its ports", "port-xds", contextWith(), /^does not apply$/],
  [
    "ports of another machine are not here",
    "port-xds",
    contextWith({ controlPlane: { ...remote, index: unreachable } }),
    /^does not apply$/,
  ],
  ["a free port", "port-xds", contextWith({ scope: { pre: true } }), /^success: 5678$/],
  [
    "a port taken by a program that can be seen",
    "port-xds",
    contextWith({ scope: { pre: true }, machine: { tryPort: refusal({ holder: { program: "python3", pid: 12 } }) } }),
    /^error: port 5678 is taken by python3 \(process 12\) FIX stop python3 \(process 12\), or .* with KUMA_XDS_SERVER_GRPC_PORT$/,
  ],
  [
    "a port taken by a stranger",
    "port-xds",
    contextWith({ controlPlane: { index: unreachable }, machine: { tryPort: refusal({}) } }),
    /^error: port 5678 is taken FIX `ss .* :5678'`.*KUMA_XDS_SERVER_GRPC_PORT$/,
  ],
  [
    "a port that can't be had",
    "port-api",
    contextWith({ controlPlane: { index: unreachable }, machine: { tryPort: refusal({ taken: false }) } }),
    /^error: Could not listen on port 5681: this user may not open it\. Change KUMA_API_SERVER_PORT \(0 = any free port\) FIX .*KUMA_API_SERVER_PORT$/,
  ],
  [
    "our own port",
    "port-api",
    contextWith({ scope: { pre: true }, machine: { tryPort: refusal({}) } }),
    /^success: 5681, taken by the control plane itself$/,
  ],
  [
    "the same port of a control plane elsewhere",
    "port-api",
    contextWith({ scope: { pre: true }, machine: { tryPort: refusal({}) }, controlPlane: remote }),
    /^error: port 5681 is taken/,
  ],
  [
    "a foreign server on the port of the API",
    "port-api",
    contextWith({ controlPlane: { index: index({ tagline: "nginx" }) }, machine: { tryPort: refusal({}) } }),
    /^error: port 5681 is taken/,
  ],
  [
    "any port",
    "port-sds",
    contextWith({ scope: { pre: true }, machine: { env: { KUMA_SDS_SERVER_GRPC_PORT: "0" }, tryPort: refusal({}) } }),
    /^success: any free one$/,
  ],
  [
    "a port that is none",
    "port-sds",
    contextWith({ scope: { pre: true }, machine: { env: { KUMA_SDS_SERVER_GRPC_PORT: "x" } } }),
    /^error: KUMA_SDS_SERVER_GRPC_PORT is "x", but has to be a whole number/,
  ],
  [
    "a token server that is off",
    "port-tokens",
    contextWith({
      scope: { pre: true },
      machine: { env: { KUMA_DATAPLANE_TOKEN_SERVER_ENABLED: "false" }, tryPort: refusal({}) },
    }),
    /^success: this server is switched off$/,
  ],
];

const plain = async () => [{ name: "default", mtls: false }];
const openTo = (address: string, type?: string) => async () => ({
  apiServer: { interface: address, ...(type === undefined ? {} : { authn: { type } }) },
});

const controlPlane: readonly Case[] = [
  [
    "a configuration that leads nowhere",
    "kumactl-config",
    contextWith({
      controlPlane: {
        async address() {
          throw UserError.of("config.inactive", { hint: "Add one" });
        },
      },
    }),
    /^error: active Control Plane is not set\. Add one FIX .*kumactl config control-planes add/,
  ],
  [
    "nobody answers here",
    "reachable",
    contextWith({ controlPlane: { index: unreachable } }),
    /^error: could not reach the Control Plane at http:\/\/it: connect ECONNREFUSED FIX start it with `kuma-cp run`/,
  ],
  [
    "nobody answers elsewhere",
    "reachable",
    contextWith({ controlPlane: { ...remote, index: unreachable } }),
    /^error: .* FIX check that it runs, .*firewall/,
  ],
  [
    "another server",
    "kuma",
    contextWith({ controlPlane: { index: index({ status: 404, tagline: "" }) } }),
    /^error: something else answers at http:\/\/localhost:5681 \(status 404\).* FIX .*KUMA_API_SERVER_PORT/,
  ],
  ["the same version", "version", contextWith(), /^success: 0\.3\.0$/],
  [
    "another patch of the release",
    "version",
    contextWith({ controlPlane: { index: index({ version: "0.3.7" }) } }),
    /^warning: the control plane is 0\.3\.7, kumactl is 0\.3\.0/,
  ],
  [
    "another release",
    "version",
    contextWith({ controlPlane: { index: index({ version: "0.30.0" }) } }),
    /^error: the control plane is 0\.30\.0, kumactl is 0\.3\.0 FIX .*same release/,
  ],
  [
    "no version",
    "version",
    contextWith({ controlPlane: { index: index({ version: "" }) } }),
    /^error: .*unknown version/,
  ],
  ["a few seconds", "clock", contextWith({ controlPlane: { index: index({ ahead: 9_999 }) } }), /^success/],
  [
    "no time",
    "clock",
    contextWith({ controlPlane: { index: index({ ahead: undefined }) } }),
    /^success: .*does not report its time/,
  ],
  [
    "a clock that is late",
    "clock",
    contextWith({ controlPlane: { index: index({ ahead: 12_000 }) } }),
    /^warning: the control plane's clock is 12s ahead of this machine's: .*not valid yet/,
  ],
  [
    "a clock that is later than certificates are backdated",
    "clock",
    contextWith({ controlPlane: { index: index({ ahead: 60_000 }) } }),
    /^error: .*1m0s ahead of this machine's: .*not valid yet.* FIX .*NTP/,
  ],
  [
    "a clock that is ahead",
    "clock",
    contextWith({ controlPlane: { index: index({ ahead: -3_600_000 }) } }),
    /^error: .*1h0m0s behind this machine's: .*expired too early/,
  ],
  ["an API for this machine only", "api-exposure", contextWith(), /^success/],
  [
    "an API for all while mTLS is on",
    "api-exposure",
    contextWith({ controlPlane: { settings: async () => ({ apiServer: { interface: "0.0.0.0" } }) } }),
    /^warning: the HTTP API listens on 0\.0\.0\.0 .* in mesh "default".* FIX .*KUMA_API_SERVER_INTERFACE=127\.0\.0\.1/,
  ],
  [
    "an API for all while mTLS is off is no exposure of what mTLS protects",
    "api-exposure",
    contextWith({ controlPlane: { settings: openTo("0.0.0.0"), meshes: plain } }),
    /^does not apply$/,
  ],
  [
    "an API that everybody may write to while mTLS is off",
    "api-authentication",
    contextWith({ controlPlane: { settings: openTo("0.0.0.0", "none"), meshes: plain } }),
    /^warning: the HTTP API listens on 0\.0\.0\.0 without authentication: .* FIX .*KUMA_API_SERVER_AUTHN_TYPE=localhost/,
  ],
  [
    "one that only this machine reaches",
    "api-authentication",
    contextWith({ controlPlane: { settings: openTo("127.0.0.1", "none"), meshes: plain } }),
    /^success/,
  ],
  [
    "one that asks who comes",
    "api-authentication",
    contextWith({ controlPlane: { settings: openTo("0.0.0.0", "localhost"), meshes: plain } }),
    /^does not apply$/,
  ],
  [
    "with mTLS it is the other check's",
    "api-authentication",
    contextWith({ controlPlane: { settings: openTo("0.0.0.0", "none") } }),
    /^does not apply$/,
  ],
  [
    "dataplanes that prove nothing",
    "token-server",
    contextWith({ controlPlane: { settings: async () => ({ dataplaneTokenServer: { enabled: false } }) } }),
    /^warning: the token server is off, .* FIX .*KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true/,
  ],
  [
    "dataplanes that prove who they are",
    "token-server",
    contextWith({ controlPlane: { settings: async () => ({ dataplaneTokenServer: { enabled: true } }) } }),
    /^success/,
  ],
  [
    "without mTLS nobody has to",
    "token-server",
    contextWith({
      controlPlane: { settings: async () => ({ dataplaneTokenServer: { enabled: false } }), meshes: plain },
    }),
    /^does not apply$/,
  ],
  [
    "a control plane that tells no settings",
    "api-exposure",
    contextWith({ controlPlane: { settings: async () => undefined } }),
    /^does not apply$/,
  ],
];

const authority =
  (state: string, more: object = {}) =>
  async () => [{ mesh: "default", state, ...more }];

const root = (notBefore: Date, notAfter: Date) => ({
  controlPlane: { authorities: authority("active", { signing: { notBefore, notAfter } }) },
});
const day = 24 * 3600;

const meshes: readonly Case[] = [
  ["a root that lives", "authority-validity", contextWith(root(ago(60), ago(-61 * day))), /^success/],
  [
    "a root that has expired",
    "authority-validity",
    contextWith(root(ago(60), now)),
    /^error: the root of mesh "default" expired at 2026-01-01T12:00:00\.000Z: .* FIX `kumactl manage ca rotate/,
  ],
  [
    "a root of the future",
    "authority-validity",
    contextWith(root(ago(-60), ago(-day))),
    /^error: the root of mesh "default" is not valid before 2026-01-01T12:01:00\.000Z: .* FIX .*clock/,
  ],
  [
    "a root that ends soon",
    "authority-validity",
    contextWith(root(ago(60), ago(-59 * day))),
    /^warning: the root of mesh "default" expires at 2026-03-01T/,
  ],
  [
    "a root that nobody needs",
    "authority-validity",
    contextWith({ controlPlane: { ...root(ago(60), now).controlPlane, meshes: plain } }),
    /^does not apply$/,
  ],
  ["a control plane that tells no roots", "authority-validity", contextWith(), /^does not apply$/],
  ["a mesh", "mesh", contextWith(), /^success: default: mTLS on$/],
  [
    "many meshes",
    "mesh",
    contextWith({
      controlPlane: { meshes: async () => Array.from({ length: 9 }, (_, i) => ({ name: `m${i}`, mtls: i < 2 })) },
    }),
    /^success: 9, 2 of them with mTLS$/,
  ],
  [
    "a mesh that was named and is not there",
    "mesh",
    contextWith({ scope: { mesh: "demo" }, controlPlane: { meshes: async () => [] } }),
    /^error: there is no mesh "demo" FIX .*name: demo.*kumactl apply/,
  ],
  ["no mesh at all", "mesh", contextWith({ controlPlane: { meshes: async () => [] } }), /^error: there is no mesh FIX/],
  [
    "a rotation",
    "authority",
    contextWith({ controlPlane: { authorities: authority("distributing", { waitingFor: ["a"] }) } }),
    /^success: default: rotating: the new root is not trusted yet by a$/,
  ],
  [
    "an authority that can't be used",
    "authority",
    contextWith({ controlPlane: { authorities: authority("unusable", { reason: "it is no JSON" }) } }),
    /^error: mesh "default" issues no certificates, unusable: it is no JSON FIX/,
  ],
  [
    "one that nobody needs",
    "authority",
    contextWith({
      controlPlane: {
        authorities: authority("unusable", { reason: "x" }),
        meshes: async () => [{ name: "default", mtls: false }],
      },
    }),
    /^warning: mesh "default"/,
  ],
  [
    "a control plane without authorities",
    "authority",
    contextWith({ controlPlane: { authorities: async () => [] } }),
    /^does not apply$/,
  ],
];

const bare = { certificate: undefined };
const plaintext = { mtls: false, ...bare };
const certificateRefusal = { at: "2026-01-01T11:00:00Z", reason: "the token is invalid: there is no token" };

const dataplanes: readonly Case[] = [
  ["none", "connected", contextWith(), /^success: none is registered$/],
  [
    "one that never connected",
    "connected",
    contextWith(proxies(proxy("a"), proxy("b", { connection: "never", ...bare }))),
    /^error: "b" in mesh "default" is registered, but its proxy has never connected FIX start `kuma-dp run --name=b --mesh=default/,
  ],
  [
    "several that never connected",
    "connected",
    contextWith(proxies(proxy("a", { connection: "never" }), proxy("b", { connection: "never" }))),
    /^error: "a" .*\|"b" .* FIX .*--name=NAME --mesh=MESH/,
  ],
  [
    "one that never connected is not offline",
    "online",
    contextWith(proxies(proxy("a", { connection: "never" }))),
    /^does not apply$/,
  ],
  [
    "one that is offline",
    "online",
    contextWith(proxies(proxy("a", { connection: "offline", disconnected: ago(60) }))),
    /^error: "a" in mesh "default" is offline since 2026-01-01T11:59:00\.000Z FIX (?!.*delete).*`kuma-dp run --name=a --mesh=default`/,
  ],
  [
    "a second proxy of one name",
    "duplicate",
    contextWith(proxies(proxy("a", { streams: [ago(3600), ago(120)] }), proxy("b"))),
    /^warning: 2 proxies are connected as "a" in mesh "default", since 2026-01-01T11:00:00\.000Z and \S+ FIX (?!.*delete)/,
  ],
  [
    "a second proxy that has just come, or a connection whose loss was not noticed yet",
    "duplicate",
    contextWith(proxies(proxy("a", { streams: [ago(3600), ago(1)] }))),
    /^warning: 2 proxies are connected as "a" .*; if there is only one, its connection was lost or it was reloaded, .* FIX /,
  ],
  ["one proxy of each name", "duplicate", contextWith(proxies(proxy("a"), proxy("b"))), /^success/],
  [
    "an Envoy that does not answer",
    "updates",
    contextWith(proxies(proxy("a", { unanswered: ago(15) }), proxy("b"))),
    /^error: Envoy of "a" in mesh "default" has not responded to the configuration sent at 2026-01-01T11:59:45\.000Z: .* FIX .*inspect dataplane a --mesh default --diff/,
  ],
  [
    "an Envoy that has just been sent something",
    "updates",
    contextWith(proxies(proxy("a", { unanswered: ago(14) }))),
    /^success/,
  ],
  [
    "applications that are down",
    "application",
    contextWith(proxies(proxy("a"), proxy("b", { down: [80, 443] }))),
    /^error: the application of "b" in mesh "default" does not accept connections on port 80\|the application of "b" .* port 443 FIX .*127\.0\.0\.1/,
  ],
  ["applications of which nothing is known", "application", contextWith(proxies(proxy("a"))), /^does not apply$/],
  ["accepted configuration", "configuration", contextWith(proxies(proxy("a"))), /^success/],
  [
    "refused configuration",
    "configuration",
    contextWith(
      proxies(
        proxy("a", {
          refused: [{ mesh: "default", dataplane: "a", type: "lds", resource: "inbound:80", reason: "cannot bind" }],
        }),
      ),
    ),
    /^error: Envoy of "a" in mesh "default" refuses LDS resource "inbound:80": cannot bind FIX/,
  ],
  [
    "what one of two proxies of a name refuses, as the other one has it",
    "configuration",
    contextWith(
      proxies(
        proxy("a", {
          streams: [ago(60), ago(30)],
          refused: [{ mesh: "default", dataplane: "a", type: "lds", resource: "inbound:80", reason: "cannot bind" }],
        }),
      ),
    ),
    /^error: one of 2 Envoys \(see above\) of "a" in mesh "default" refuses LDS resource "inbound:80": cannot bind FIX/,
  ],
  [
    "no token is needed without mTLS",
    "token",
    contextWith(proxies(proxy("a", { ...plaintext, refusal: certificateRefusal }))),
    /^does not apply$/,
  ],
  [
    "a token that is missing",
    "token",
    contextWith(proxies(proxy("a", { ...bare, refusal: certificateRefusal }))),
    /^error: "a" in mesh "default" was refused a certificate at 2026-01-01T11:00:00Z, and has none: the token is invalid: there is no token FIX .*generate dataplane-token --name=a --mesh=default/,
  ],
  [
    "a token that is refused while the certificate lives",
    "token",
    contextWith(proxies(proxy("a", { refusal: certificateRefusal }))),
    /its last one expires at 2026-01-02T12:00:00\.000Z: /,
  ],
  [
    "whose token is refused needs no certificate",
    "certificate",
    contextWith(proxies(proxy("a", { ...bare, refusal: certificateRefusal }))),
    /^success/,
  ],
  [
    "who just connected has time",
    "certificate",
    contextWith(proxies(proxy("a", { ...bare, connected: ago(29) }))),
    /^success/,
  ],
  [
    "no certificate",
    "certificate",
    contextWith(proxies(proxy("a", bare))),
    /^error: "a" in mesh "default" is connected, but has never received a certificate FIX .*KUMA_SDS_SERVER_GRPC_PORT/,
  ],
  [
    "no certificate since Envoy started anew, though the one before it is recorded",
    "certificate",
    contextWith({
      controlPlane: { proxies: async () => [proxy("a")], problems: problem("certificate-missing", "a is bare", "a") },
    }),
    /^error: mesh "default": a is bare FIX/,
  ],
  [
    "whom both know to have none is named once",
    "certificate",
    contextWith({
      controlPlane: {
        proxies: async () => [proxy("a", bare)],
        problems: problem("certificate-missing", "a is bare", "a"),
      },
    }),
    /^error: "a" in mesh "default" is connected, but has never received a certificate FIX/,
  ],
  [
    "an expired certificate of the SDS server explains all that is missing",
    "certificate",
    contextWith({
      controlPlane: {
        proxies: async () => [proxy("a", bare)],
        status: async () => status({ sdsCertificate: { notBefore: ago(60), notAfter: now, setting: undefined } }),
      },
    }),
    /^skipped until the certificate of the SDS server is valid$/,
  ],
  [
    "a certificate that can't be renewed, because Envoy is not connected to the SDS server",
    "sds-stream",
    contextWith({
      controlPlane: { proxies: async () => [proxy("a")], problems: problem("no-secret-stream", "a is cut off", "a") },
    }),
    /^warning: mesh "default": a is cut off FIX .*KUMA_SDS_SERVER_GRPC_PORT/,
  ],
  ["nobody has a certificate to renew", "sds-stream", contextWith(proxies(proxy("a", bare))), /^does not apply$/],
  ["nobody has one", "certificate-expiry", contextWith(proxies(proxy("a", bare))), /^does not apply$/],
  ["nobody has one to renew", "certificate-renewal", contextWith(proxies(proxy("a", bare))), /^does not apply$/],
  [
    "no certificate is needed without mTLS",
    "certificate",
    contextWith(proxies(proxy("a", plaintext))),
    /^does not apply$/,
  ],
  [
    "an expired certificate",
    "certificate-expiry",
    contextWith(proxies(proxy("a", { certificate: { taken: ago(100), expires: now } }))),
    /^error: the certificate of "a" in mesh "default" expired at 2026-01-01T12:00:00\.000Z/,
  ],
  [
    "one that expired by the control plane's clock",
    "certificate-expiry",
    contextWith({
      controlPlane: {
        index: index({ ahead: 5_000 }),
        proxies: async () => [proxy("a", { certificate: { taken: ago(100), expires: ago(-4) } })],
      },
    }),
    /^error: the certificate of "a"/,
  ],
  [
    "an expired one of a proxy that is offline is not the cause",
    "certificate-expiry",
    contextWith(proxies(proxy("a", { connection: "offline", certificate: { taken: ago(100), expires: now } }))),
    /^does not apply$/,
  ],
  [
    "one that is overdue",
    "certificate-renewal",
    contextWith(proxies(proxy("a", { certificate: { taken: ago(90), expires: ago(-10) } }))),
    /^warning: the certificate of "a" in mesh "default" expires in 10s, and should have been renewed/,
  ],
  [
    "one that is about to be renewed",
    "certificate-renewal",
    contextWith(proxies(proxy("a", { certificate: { taken: ago(89), expires: ago(-11) } }))),
    /^success: the first expires at 2026-01-01T12:00:11\.000Z$/,
  ],
  [
    "an expired one is not overdue as well",
    "certificate-renewal",
    contextWith(proxies(proxy("a", { certificate: { taken: ago(100), expires: now } }))),
    /^success/,
  ],
];

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: object, header: object = { alg: "RS256" }, signature = "c2ln") =>
  [encode(header), encode(claims), signature].join(".");
const withToken = (token: string) =>
  contextWith({ scope: { token: { file: "/tmp/t", name: "a", mesh: "m" } }, machine: { readToken: () => token } });
const seconds = now.getTime() / 1000;

const registration: readonly Case[] = [
  ["every proxy has a Dataplane", "registered", contextWith(), /^does not apply$/],
  [
    "a control plane that doesn't answer",
    "registered",
    contextWith({ controlPlane: { index: unreachable, unregistered: unreachable } }),
    /^does not apply$/,
  ],
  [
    "a proxy whose Dataplane was deleted",
    "registered",
    contextWith({
      controlPlane: { unregistered: async () => [{ mesh: "m", name: "a", connectTime: "2026-01-01T11:00:00Z" }] },
    }),
    /^error: a proxy is connected as "a" in mesh "m", since 2026-01-01T11:00:00Z, and there is no such Dataplane.* FIX apply its Dataplane again/,
  ],
];

const tokens: readonly Case[] = [
  ["no token to look at", "token-file", contextWith(), /^does not apply$/],
  [
    "a good one",
    "token-file",
    withToken(jwt({ Name: "a", Mesh: "m" })),
    /^success: it never expires; only the control plane can check its signature$/,
  ],
  [
    "one that ends",
    "token-file",
    withToken(jwt({ Name: "a", Mesh: "m", exp: seconds + 1 })),
    /^success: valid until 2026-01-01T12:00:01/,
  ],
  [
    "an expired one",
    "token-file",
    withToken(jwt({ Name: "a", Mesh: "m", exp: seconds })),
    /^error: the token expired at .* FIX .*--name=a --mesh=m > \/tmp\/t/,
  ],
  [
    "somebody else's",
    "token-file",
    withToken(jwt({ Name: "b", Mesh: "m" })),
    /^error: the token is for dataplane "b" in mesh "m"/,
  ],
  [
    "another mesh's",
    "token-file",
    withToken(jwt({ Name: "a", Mesh: "n" })),
    /^error: the token is for dataplane "a" in mesh "n"/,
  ],
  ["no JWT", "token-file", withToken("let.me.in"), /^error: the file holds no dataplane token: it is no JWT/],
  ["too many parts", "token-file", withToken(`${jwt({ Name: "a", Mesh: "m" })}.x`), /it is no JWT/],
  ["unsigned", "token-file", withToken(jwt({ Name: "a", Mesh: "m" }, { alg: "none" }, "")), /not signed with RS256/],
  [
    "no signature",
    "token-file",
    withToken(jwt({ Name: "a", Mesh: "m" }, { alg: "RS256" }, "")),
    /not signed with RS256/,
  ],
  ["no name", "token-file", withToken(jwt({ Mesh: "m" })), /it has no claim Name/],
  ["no mesh", "token-file", withToken(jwt({ Name: "a" })), /it has no claim Mesh/],
  ["an odd end", "token-file", withToken(jwt({ Name: "a", Mesh: "m", exp: "soon" })), /exp is no number/],
  [
    "a file that can't be read",
    "token-file",
    contextWith({
      scope: { token: { file: "/tmp/t", name: "a", mesh: "m" } },
      machine: {
        readToken() {
          throw UserError.of("token.unreadable", { file: "/tmp/t", reason: "EACCES" });
        },
      },
    }),
    /^error: could not read file \/tmp\/t: EACCES FIX .*generate dataplane-token/,
  ],
];

const all = [...machine, ...ports, ...controlPlane, ...meshes, ...dataplanes, ...registration, ...tokens];

test("no hint suggests deleting anything: what does not answer may still serve", () => assertHarmless(all));

for (const [what, id, context, expected] of all) {
  test(`${id}: ${what}`, async () => assert.match(await found(id, context), expected));
}

test("a renewal is overdue once the latest time for it and a delivery are over, however long certificates live", () => {
  const due = (life: number) => renewalDue({ taken: new Date(0), expires: new Date(life) }).getTime();
  assert.is(due(20_000), 18_000);
  const month = 720 * 3_600_000;
  assert.is(due(month), month * 0.85 + 60_000);
});

test("the ports are those of kuma-cp, by the same settings", () => {
  const settings = Object.values(table);
  const ports = servers.map(({ path, variable, preset }) => {
    const setting = settings.find((candidate) => candidate.path === path);
    assert.ok(setting?.env.includes(variable), variable);
    assert.is(setting?.default, preset);
    return path;
  });
  // In a pod every port is free.
  const all = settings.flatMap(({ path }) =>
    /^(?!runtime\.kubernetes).*(grpcPort|diagnosticsPort|[a-z]Server\.port|local\.port)$/.test(path) ? [path] : [],
  );
  assert.equal(ports.sort(), all.sort());
  assert.is(servers.find(({ id }) => id === "port-api")?.host?.({}), table.apiInterface.default);
});

test.run();
