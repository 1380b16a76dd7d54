import { bootstrapRevision } from "../../envoy/placement.js";

/** Everything a proxy's bootstrap depends on. */
export interface BootstrapParameters {
  readonly mesh: string;
  readonly name: string;
  /** The identifying service of the Dataplane. */
  readonly service: string;
  /** Where the proxy finds the token, on its own machine; left out of the document when absent. */
  readonly dataplaneTokenPath?: string;
  /** Where its log files may go, on its own machine; left out of the document when absent. */
  readonly logDirectories?: readonly string[];
  /** The host by which the proxy reaches the control plane, when that was chosen for it alone; likewise. */
  readonly controlPlaneHost?: string;
  readonly admin: {
    readonly address: string;
    /** 0 = no admin server. */
    readonly port: number;
    readonly accessLogPath: string;
  };
  readonly xds: { readonly host: string; readonly port: number; readonly connectTimeoutMs: number };
}

const typeUrl = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const httpOptions = "upstreams.http.v3.HttpProtocolOptions";

const socketAddress = (address: string, portValue: number) => ({ socketAddress: { address, portValue } });

/** proto3-JSON text of a duration; more than microseconds are no use here. */
const seconds = (ms: number) => `${Number((ms / 1000).toFixed(6))}s`;

/**
 * The configuration an Envoy (v3 API) starts with: who it is and where its control plane is; everything else arrives
 * over that one delta stream. Fetch timeouts are off because an Envoy that waits is right, and one that starts empty
 * is not.
 */
export function bootstrapDocument(parameters: BootstrapParameters): Record<string, unknown> {
  const { mesh, name, service, dataplaneTokenPath, logDirectories, controlPlaneHost, admin, xds } = parameters;
  const metadata = {
    ...(dataplaneTokenPath === undefined ? {} : { dataplaneTokenPath }),
    ...(logDirectories === undefined ? {} : { logDirectories }),
    ...(controlPlaneHost === undefined ? {} : { controlPlaneHost }),
    bootstrapRevision,
  };
  const fromAds = { ads: {}, resourceApiVersion: "V3", initialFetchTimeout: "0s" };
  return {
    node: {
      id: `${mesh}.${name}`,
      cluster: service,
      metadata,
    },
    ...(admin.port === 0 ? {} : { admin: adminServer(admin) }),
    dynamicResources: {
      ldsConfig: fromAds,
      cdsConfig: { ...fromAds },
      adsConfig: {
        apiType: "DELTA_GRPC",
        transportApiVersion: "V3",
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ envoyGrpc: { clusterName: "ads_cluster" } }],
      },
    },
    // Over it the control plane asks whether the applications of this dataplane accept connections.
    hdsConfig: {
      apiType: "GRPC",
      transportApiVersion: "V3",
      setNodeOnFirstMessageOnly: true,
      grpcServices: [{ envoyGrpc: { clusterName: "ads_cluster" } }],
    },
    staticResources: { clusters: [adsCluster(xds)] },
  };
}

function adminServer({ address, port, accessLogPath }: BootstrapParameters["admin"]) {
  return {
    accessLog: [
      {
        name: "envoy.access_loggers.file",
        typedConfig: { "@type": typeUrl("access_loggers.file.v3.FileAccessLog"), path: accessLogPath },
      },
    ],
    address: socketAddress(address, port),
  };
}

/**
 * TCP's keepalive is answered by whatever is in between, also when it carries nothing any more: a connection on which
 * the control plane itself is silent is given up after 45 s at most.
 */
const connectionKeepalive = { interval: "30s", timeout: "10s", intervalJitter: { value: 15 } };

function adsCluster({ host, port, connectTimeoutMs }: BootstrapParameters["xds"]) {
  return {
    name: "ads_cluster",
    type: "STRICT_DNS",
    dnsLookupFamily: "V4_PREFERRED",
    connectTimeout: seconds(connectTimeoutMs),
    // A control plane that vanished without closing the connection is noticed within 40 s.
    upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 10, keepaliveInterval: 10 } },
    typedExtensionProtocolOptions: {
      [`envoy.extensions.${httpOptions}`]: {
        "@type": typeUrl(httpOptions),
        explicitHttpConfig: { http2ProtocolOptions: { connectionKeepalive } },
      },
    },
    loadAssignment: {
      clusterName: "ads_cluster",
      endpoints: [{ lbEndpoints: [{ endpoint: { address: socketAddress(host, port) } }] }],
    },
  };
}
