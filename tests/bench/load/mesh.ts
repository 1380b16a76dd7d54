// The mesh that the load is put on, and the changes of it.
import type { Expectation } from "../storm-clients.js";

export interface MeshSize {
  readonly dataplanes: number;
  readonly services: number;
  /** Services that each dataplane sends connections to. */
  readonly outbounds: number;
  /** TrafficPermissions, each of one service's consumers. */
  readonly policies: number;
  readonly mtls: boolean;
}

/** A resource as it is written to the API. */
export interface Write {
  readonly path: string;
  readonly body: unknown;
}

/** A change, and who has to acknowledge what of it. */
export interface Change {
  readonly writes: readonly Write[];
  readonly expected: readonly Expectation[];
}

export interface LoadMesh {
  readonly size: MeshSize;
  /** Names of the dataplanes. */
  readonly proxies: readonly string[];
  /** The resources it consists of, in the order in which they are written. */
  writes(): Generator<Write>;
  /** An instance of one service moves: its consumers are told, who are `consumers` in number. */
  moveEndpoint(round: number): Change;
  readonly consumers: number;
  /** Who may use what changes for all: every inbound listener. Needs mTLS. */
  permitEverywhere(round: number): Change;
  /** How endpoints are checked changes for all: every cluster of a service. */
  checkEverywhere(round: number): Change;
  /** Every dataplane gets another version, one after the other. */
  roll(round: number): Change;
}

const mesh = "/meshes/default";

/** A text that stands in no other one of these. */
const mark = (what: string, ...numbers: readonly number[]) => `${what}-${numbers.join("-")}.`;

/** @param prefix of all names, so that two of them can be in one mesh and have nothing to do with each other */
export function createLoadMesh(size: MeshSize, prefix = ""): LoadMesh {
  const { dataplanes, services, outbounds, policies } = size;
  const proxyName = (index: number) => `${prefix}proxy-${index}`;
  const service = (index: number) => `${prefix}service-${index % services}`;
  const proxies = Array.from({ length: dataplanes }, (_, index) => proxyName(index));

  function dataplane(index: number, version: string): Write {
    const address = `10.${Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${(index % 250) + 1}`;
    const name = proxyName(index);
    return {
      path: `${mesh}/dataplanes/${name}`,
      body: {
        type: "Dataplane",
        mesh: "default",
        name,
        networking: {
          inbound: [{ interface: `${address}:8080:80`, tags: { service: service(index), version } }],
          outbound: Array.from({ length: outbounds }, (_, next) => ({
            interface: `:${20_000 + next}`,
            service: service(index + 1 + next),
          })),
        },
      },
    };
  }

  /** Lets those in that consume the service. */
  function permission(index: number): Write {
    const name = `${prefix}to-${index}`;
    const sources = Array.from({ length: Math.min(outbounds, services) }, (_, before) =>
      service(index + services - 1 - (before % services)),
    );
    const rule = {
      sources: sources.map((source) => ({ match: { service: source } })),
      destinations: [{ match: { service: service(index) } }],
    };
    return {
      path: `${mesh}/traffic-permissions/${name}`,
      body: { type: "TrafficPermission", mesh: "default", name, rules: [rule] },
    };
  }

  /** Dataplanes that send connections to a service: those right before one of its own, counted round the services. */
  const consumersOf = (index: number) =>
    proxies.filter((_, proxy) => (index - 1 - proxy + dataplanes * services) % services < outbounds);

  const anyone = [{ match: { service: "*" } }];
  /** The first proxy is among its consumers. */
  const moving = 1;
  const consumers = consumersOf(moving);

  return {
    size,
    proxies,
    *writes() {
      for (let index = 0; index < policies; index++) yield permission(index);
      for (let index = 0; index < dataplanes; index++) yield dataplane(index, mark("first", index));
    },
    moveEndpoint(round) {
      const name = `${prefix}moving`;
      const version = mark("move", round);
      const tags = { service: service(moving), version };
      const inbound = [{ interface: `10.255.0.1:${9_000 + (round % 1_000)}:80`, tags }];
      const body = { type: "Dataplane", mesh: "default", name, networking: { inbound } };
      return {
        writes: [{ path: `${mesh}/dataplanes/${name}`, body }],
        expected: [{ proxies: consumers, wants: [{ what: "eds", mark: version }] }],
      };
    },
    consumers: consumers.length,
    permitEverywhere(round) {
      const name = `${prefix}everywhere`;
      const caller = mark("caller", round);
      const rule = { sources: [{ match: { service: caller } }], destinations: anyone };
      return {
        writes: [
          {
            path: `${mesh}/traffic-permissions/${name}`,
            body: { type: "TrafficPermission", mesh: "default", name, rules: [rule] },
          },
        ],
        expected: [{ proxies, wants: [{ what: "lds", mark: caller }] }],
      };
    },
    checkEverywhere(round) {
      const name = `${prefix}everywhere`;
      const activeChecks = { interval: `${10 + round}s`, timeout: "2s", unhealthyThreshold: 3, healthyThreshold: 1 };
      return {
        writes: [
          {
            path: `${mesh}/health-checks/${name}`,
            body: {
              type: "HealthCheck",
              mesh: "default",
              name,
              sources: anyone,
              destinations: anyone,
              conf: { activeChecks },
            },
          },
        ],
        // The assignments follow their clusters.
        expected: [{ proxies, wants: [{ what: "cds" }, { what: "eds" }] }],
      };
    },
    roll(round) {
      const version = (index: number) => mark("roll", round, index);
      const last = new Map<number, string>();
      for (let index = 0; index < dataplanes; index++) last.set(index % services, version(index));
      return {
        writes: proxies.map((_, index) => dataplane(index, version(index))),
        expected: proxies.map((name, index) => ({
          proxies: [name],
          wants: Array.from({ length: outbounds }, (_, next) => last.get((index + 1 + next) % services))
            .filter((text) => text !== undefined)
            .map((text) => ({ what: "eds" as const, mark: text })),
        })),
      };
    },
  };
}
