import type { Ignored } from "../../envoy/ignored.js";
import type { Logger } from "../../lib/logger.js";

/**
 * Logs which fields of policies have no effect: once per version of a policy, not once per proxy that it matches
 * and not each time such a proxy is reconfigured.
 */
export function createIgnoredLog(logger: Logger): (ignored: readonly Ignored[]) => void {
  /** Weak, so that the entries of deleted policies are freed. */
  const logged = new WeakMap<Ignored["policy"], Set<string>>();

  return (ignored) => {
    for (const { policy, field, reason } of ignored) {
      let texts = logged.get(policy);
      if (texts === undefined) {
        texts = new Set();
        logged.set(policy, texts);
      }
      const text = `${field} ${reason}`;
      if (texts.has(text)) continue;
      texts.add(text);
      const { type, mesh, name } = policy;
      logger.warn("a part of a policy has no effect", { type, mesh, name, field, reason });
    }
  };
}
