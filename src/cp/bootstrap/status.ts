import { errorReply, type HttpReply, jsonReply } from "../../net/exchange.js";
import { dataplaneInsightType } from "../../resources/dataplane-insight.js";
import { meshType, mtlsEnabled } from "../../resources/mesh.js";
import { readStored } from "../../store/read.js";
import type { Store } from "../../store/store.js";

/**
 * `GET /dataplane-status?mesh=MESH&name=NAME`: `{"known", "refusal"?: {"time", "reason"}}`. A kuma-dp uses it to find
 * out that its Dataplane was deleted, or that the SDS server rejects its token. It exposes nothing that the HTTP API
 * doesn't.
 */
export async function dataplaneStatus(store: Pick<Store, "get">, query: string): Promise<HttpReply> {
  const parameters = new URLSearchParams(query);
  const [mesh, name] = [parameters.get("mesh") ?? "", parameters.get("name") ?? ""];
  if (mesh === "" || name === "") {
    const causes = [{ field: mesh === "" ? "mesh" : "name", message: "has to be given as a parameter of the query" }];
    return errorReply("request.invalid", { title: "Could not determine the status of a dataplane" }, { causes });
  }
  const [dataplane, stored, insight] = await Promise.all([
    store.get({ type: "Dataplane", mesh, name }),
    readStored(store, meshType, { mesh, name: mesh }),
    readStored(store, dataplaneInsightType, { mesh, name }),
  ]);
  // A rejection from when mTLS was enabled is irrelevant while it is disabled.
  const guarded = mtlsEnabled(stored?.spec);
  const { refusal } = insight?.spec.mTLS ?? {};
  const refused = dataplane !== undefined && guarded && refusal !== undefined;
  return jsonReply(200, { known: dataplane !== undefined, ...(refused ? { refusal } : {}) });
}
