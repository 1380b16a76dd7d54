import { errorReply, type HttpReply, jsonReply } from "../../net/exchange.js";
import type { DataplaneInsight } from "../../resources/dataplane-insight.js";
import type { Mesh } from "../../resources/mesh.js";
import { mtlsEnabled } from "../../resources/mesh.js";
import type { Store } from "../../store/store.js";

/**
 * `GET /dataplane-status?mesh=MESH&name=NAME`: `{"known", "refusal"?: {"time", "reason"}}`. It is how a kuma-dp finds out
 * that its Dataplane is gone, and that the SDS server refuses its token. Nothing in it is more than the HTTP API tells.
 */
export async function dataplaneStatus(store: Pick<Store, "get">, query: string): Promise<HttpReply> {
  const parameters = new URLSearchParams(query);
  const [mesh, name] = [parameters.get("mesh") ?? "", parameters.get("name") ?? ""];
  if (mesh === "" || name === "") {
    const causes = [{ field: mesh === "" ? "mesh" : "name", message: "has to be given as a parameter of the query" }];
    return errorReply("request.invalid", { title: "Could not tell the status of a dataplane" }, { causes });
  }
  const [dataplane, stored, insight] = await Promise.all([
    store.get({ type: "Dataplane", mesh, name }),
    store.get({ type: "Mesh", mesh, name: mesh }),
    store.get({ type: "DataplaneInsight", mesh, name }),
  ]);
  // What it was refused while mTLS was on means nothing while it is off.
  const guarded = mtlsEnabled(stored?.spec as Mesh | undefined);
  const { refusal } = (insight?.spec as DataplaneInsight | undefined)?.mTLS ?? {};
  const refused = dataplane !== undefined && guarded && refusal !== undefined;
  return jsonReply(200, { known: dataplane !== undefined, ...(refused ? { refusal } : {}) });
}
