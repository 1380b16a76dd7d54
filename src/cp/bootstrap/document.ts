import { bootstrapRevision } from "../../envoy/placement.js";

/** Everything a proxy's bootstrap depends on. */
export interface BootstrapParameters {
  readonly mesh: string;
  readonly name: string;
  /** The identifying service of the Dataplane. */
  readonly service: string;
  /** Path of the token on the proxy's machine; omitted if absent. */
  readonly dataplaneTokenPath?: string;
  /** Directories for log files on the proxy's machine; omitted if absent. */
  readonly logDirectories?: readonly string[];
  /** The host of the control plane, if it was chosen for this proxy; omitted if absent. */
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

/** A duration in proto3 JSON, with microsecond resolution. */
const seconds = (ms: number) => `${Number((ms / 1000).toFixed(6))}s`;

/**
 * The bootstrap configuration of an Envoy (v3 API): its node and its control plane; everything else arrives over that
 * one delta stream. Fetch timeouts are disabled because an Envoy should wait rather than start without configuration.
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
    // Health discovery: the control plane has Envoy check whether the dataplane's applications accept connections.
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
 * A middlebox may answer TCP keepalives even if it forwards nothing any more: an HTTP/2 connection without a response
 * from the control plane is closed after 45 s at most.
 */
const connectionKeepalive = { interval: "30s", timeout: "10s", intervalJitter: { value: 15 } };

function adsCluster({ host, port, connectTimeoutMs }: BootstrapParameters["xds"]) {
  return {
    name: "ads_cluster",
    type: "STRICT_DNS",
    dnsLookupFamily: "V4_PREFERRED",
    connectTimeout: seconds(connectTimeoutMs),
    // Detects within 40 s a control plane that disappeared without closing the connection.
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
