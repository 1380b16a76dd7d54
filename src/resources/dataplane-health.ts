import { resourceType } from "./resource.js";
import { uint32 } from "./scalars.js";
import { type Infer, list, object } from "./schema.js";

export const dataplaneHealthSchema = object({
  /** Ports on 127.0.0.1, in order, at which the dataplane's applications do not accept connections. */
  down: list(uint32()),
});

/** The health of a Dataplane's applications, as its sidecar found it; absent while all are healthy. */
export type DataplaneHealth = Infer<typeof dataplaneHealthSchema>;

export const dataplaneHealthType = resourceType<DataplaneHealth>({
  name: "DataplaneHealth",
  path: "dataplane-healths",
  summary: "Ports of a Dataplane where its applications accept no connections. Written by the control plane only.",
  access: "internal",
  schema: dataplaneHealthSchema,
});
