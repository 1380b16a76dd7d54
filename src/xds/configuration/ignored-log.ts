import type { Ignored } from "../../envoy/ignored.js";
import type { Logger } from "../../lib/logger.js";

/**
 * Says which parts of policies have no effect: once for each state of a policy, and not again for every proxy that it is
 * about, nor whenever one of those is configured anew.
 */
export function createIgnoredLog(logger: Logger): (ignored: readonly Ignored[]) => void {
  /** Policies come and go; what was said of one goes with it. */
  const said = new WeakMap<Ignored["policy"], Set<string>>();

  return (ignored) => {
    for (const { policy, field, reason } of ignored) {
      let texts = said.get(policy);
      if (texts === undefined) {
        texts = new Set();
        said.set(policy, texts);
      }
      const text = `${field} ${reason}`;
      if (texts.has(text)) continue;
      texts.add(text);
      const { type, mesh, name } = policy;
      logger.info("warning: a part of a policy has no effect", { type, mesh, name, field, reason });
    }
  };
}
