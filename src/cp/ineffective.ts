import { isJsonObject } from "../lib/json.js";

/** Settings of Kuma 0.3 that this version takes without effect, so that its configuration files keep working. */
interface Ineffective {
  /** A YAML path and everything below it. */
  readonly path: string;
  /** How its environment variables begin. */
  readonly variables: string;
  readonly reason: string;
}

const kubernetes = "Kubernetes mode is not in this version yet";

const ineffective: readonly Ineffective[] = [
  { path: "guiServer", variables: "KUMA_GUI_SERVER_", reason: "there is no GUI server and nothing listens" },
  { path: "reports", variables: "KUMA_REPORTS_", reason: "usage is never reported to anyone" },
  { path: "adminServer", variables: "KUMA_ADMIN_SERVER_", reason: "there is no admin server" },
  { path: "store.kubernetes", variables: "KUMA_STORE_KUBERNETES_", reason: kubernetes },
  { path: "runtime.kubernetes", variables: "KUMA_KUBERNETES_", reason: kubernetes },
];

type Environment = Readonly<Record<string, string | undefined>>;

export interface Effective<T> {
  /** What is left for the settings table to read. */
  readonly rest: T;
  readonly warnings: readonly string[];
}

/** The environment without variables that have no effect, and a warning for each that is set; `known` ones have some. */
export function effectiveEnvironment(env: Environment, known: ReadonlySet<string>): Effective<Environment> {
  const warnings: string[] = [];
  const rest: [string, string | undefined][] = [];
  for (const [name, value] of Object.entries(env)) {
    const entry = known.has(name) ? undefined : ineffective.find(({ variables }) => name.startsWith(variables));
    if (entry === undefined) rest.push([name, value]);
    else warnings.push(`${name} has no effect: ${entry.reason}`);
  }
  return { rest: Object.fromEntries(rest), warnings };
}

/**
 * A configuration file's document without the parts that have no effect, and a warning for each; a part that has some of
 * the settings at `known` paths has an effect.
 */
export function effectiveDocument(document: unknown, known: readonly string[]): Effective<unknown> {
  if (!isJsonObject(document)) return { rest: document, warnings: [] };
  const idle = ineffective.filter(({ path }) => !known.some((one) => `${one}.`.startsWith(`${path}.`)));
  const warnings: string[] = [];
  const prune = (node: Record<string, unknown>, prefix: string): Record<string, unknown> => {
    const kept: [string, unknown][] = [];
    for (const [key, value] of Object.entries(node)) {
      const path = prefix + key;
      const entry = idle.find((part) => part.path === path);
      if (entry !== undefined) warnings.push(`${path} has no effect: ${entry.reason}`);
      else if (!isJsonObject(value) || !idle.some((part) => part.path.startsWith(`${path}.`))) kept.push([key, value]);
      else {
        // A branch that only held parts without effect is not a setting of ours: left empty it would be unknown.
        const below = prune(value, `${path}.`);
        if (Object.keys(below).length > 0) kept.push([key, below]);
      }
    }
    // Unlike an assignment, this takes __proto__ for a name like any other.
    return Object.fromEntries(kept);
  };
  return { rest: prune(document, ""), warnings };
}
