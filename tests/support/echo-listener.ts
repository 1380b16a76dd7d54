import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ListenerKind } from "../../src/envoy/listener-kinds/listener-kind.js";

const typeUrl = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo";

/** A listener kind that only tests have: Envoy itself answers, for inbounds that request it. */
export const echoListener: ListenerKind = {
  name: "echo",
  serves: (subject) => subject.side === "inbound" && subject.tags.every(({ protocol }) => protocol === "echo"),
  lastFilter: () => ({
    name: "envoy.filters.network.echo",
    configType: { case: "typedConfig", value: create(AnySchema, { typeUrl }) },
  }),
  words: "echoes",
};
