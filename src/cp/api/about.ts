import { jsonReply } from "../../net/exchange.js";
import { type ReadContext, type ReadEndpoint, reads } from "./endpoint.js";
import { titles } from "./errors.js";

/** Information about this control plane: version, server addresses, configuration and status. */
export function aboutEndpoints({ version, catalogue, config, status }: ReadContext): readonly ReadEndpoint[] {
  const page = (path: string, value: unknown, aliases: readonly string[] = []) => {
    const reply = jsonReply(200, value);
    return reads({ path, aliases, title: titles.list, handle: () => reply });
  };
  return [
    page("/", { tagline: "Kuma", version }),
    page("/catalogue", catalogue, ["/catalog"]),
    page("/config", config),
    reads({ path: "/status", title: titles.list, handle: async () => jsonReply(200, await status()) }),
  ];
}
