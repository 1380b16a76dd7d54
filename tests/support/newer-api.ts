import { create, fromBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../proto-gen/es/descriptors.js";
import { createEnvoyApi, type EnvoyApi } from "../../src/envoy/raw/api.js";

/** The API that we ship plus one field: a cluster's number `ofTomorrow`. */
export function newerApi(): EnvoyApi {
  const set = fromBinary(FileDescriptorSetSchema, base64Decode(descriptors));
  const file = set.file.find(({ name }) => name === "envoy/config/cluster/v3/cluster.proto");
  const cluster = file?.messageType.find(({ name }) => name === "Cluster");
  if (cluster === undefined) throw new Error("there are no clusters");
  cluster.field.push(
    create(FieldDescriptorProtoSchema, {
      name: "of_tomorrow",
      jsonName: "ofTomorrow",
      number: 5000,
      type: FieldDescriptorProto_Type.UINT32,
      label: FieldDescriptorProto_Label.OPTIONAL,
    }),
  );
  return createEnvoyApi("Envoy 9.9", set);
}
