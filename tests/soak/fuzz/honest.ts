import http2 from "node:http2";
import { createDialect } from "../../bench/storm-dialect.js";
import { eventually } from "../../support/eventually.js";
import { type ControlPlane, put } from "../../support/executable.js";
import { grpcFrame } from "./frames.js";

/** Clients that do nothing wrong, and must be served whatever others do. */
export interface HonestClients {
  /** Changes an endpoint and waits until the xDS client has it; asks the API as a user does. @throws when they are not served */
  served(): Promise<void>;
  close(): void;
}

/** How long a changed endpoint or an answer of the API may take under a flood. */
const servedWithinMs = 10_000;

const dataplane = (name: string, networking: unknown) => ({ type: "Dataplane", mesh: "default", name, networking });

/** Puts the mesh that the honest clients live in. */
export async function openHonestMesh({ api }: ControlPlane): Promise<void> {
  const outbound = [{ interface: ":7001", service: "web" }];
  const inbound = (port: number, service: string) => [
    { interface: `127.0.0.1:${port}:${port + 1_000}`, tags: { service } },
  ];
  const all = [
    dataplane("honest", { inbound: inbound(7000, "client"), outbound }),
    dataplane("web-1", { inbound: inbound(7101, "web") }),
    dataplane("web-2", { inbound: inbound(7102, "web"), outbound }),
  ];
  for (const each of all) {
    const status = await put(api, `/meshes/default/dataplanes/${each.name}`, each);
    if (status !== 201) throw new Error(`PUT of the Dataplane ${each.name} was answered ${status}, not 201`);
  }
}

export async function openHonestClients(cp: ControlPlane): Promise<HonestClients> {
  const dialect = createDialect("delta", "default.honest");
  const session = http2.connect(`http://127.0.0.1:${cp.xdsPort}`);
  let broken: string | undefined;
  let latest = Buffer.alloc(0);
  session.on("error", (error) => {
    broken ??= `its connection broke: ${error.message}`;
  });
  session.on("close", () => {
    broken ??= "its connection was closed";
  });
  const stream = session.request(
    { ":method": "POST", ":path": dialect.path, "content-type": "application/grpc", te: "trailers" },
    { endStream: false },
  );
  stream.on("error", (error) => {
    broken ??= `its stream broke: ${error.message}`;
  });
  stream.on("end", () => {
    broken ??= "its stream was ended";
  });
  let rest = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const message = rest.subarray(5, 5 + rest.readUInt32BE(1));
      rest = rest.subarray(5 + message.length);
      const answer = dialect.answer(message);
      if (answer?.kind === "eds") latest = Buffer.from(message);
      for (const request of answer?.requests ?? []) stream.write(grpcFrame(request));
    }
  });
  for (const request of dialect.open()) stream.write(grpcFrame(request));
  let changes = 0;

  async function change(): Promise<void> {
    changes += 1;
    const address = `127.7.${(changes >> 8) & 255}.${changes & 255}`;
    const inbound = [{ interface: `${address}:7101:7101`, tags: { service: "web" } }];
    const status = await put(cp.api, "/meshes/default/dataplanes/web-1", dataplane("web-1", { inbound }));
    if (status !== 200) throw new Error(`an honest PUT was answered ${status}, not 200`);
    await eventually(
      "the honest xDS client gets a changed endpoint",
      () => {
        if (broken !== undefined) throw new Error(broken);
        return latest.includes(address);
      },
      servedWithinMs,
    );
  }

  async function read(): Promise<void> {
    const response = await fetch(`${cp.api}/meshes/default/dataplanes/honest`, {
      signal: AbortSignal.timeout(servedWithinMs),
    });
    const { name } = (await response.json()) as { name?: string };
    if (response.status !== 200 || name !== "honest") {
      throw new Error(`an honest GET was answered ${response.status} with the name ${name}`);
    }
  }

  return {
    async served() {
      await Promise.all([change(), read()]);
      if (broken !== undefined) throw new Error(`the honest xDS client is no longer served: ${broken}`);
    },
    close() {
      broken = "closed";
      session.destroy();
    },
  };
}
