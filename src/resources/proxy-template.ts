import type { Cause } from "../lib/errors.js";
import type { Steps } from "../lib/steps.js";
import { handedIn, parseNativeResource } from "./native-resource.js";
import { policyType } from "./policy-type.js";
import { text } from "./scalars.js";
import { type Infer, limits, list, object } from "./schema.js";
import { selectorsSchema, validateSelectors } from "./selector.js";

const rawResource = object({
  /** Labels only: Envoy uses the name inside the message. */
  name: text(),
  version: text(),
  resource: text({
    hint: 'write the Envoy resource as a block of text, after "resource: |"',
    longest: limits.rawResourceCharacters,
  }),
});

const content = {
  imports: list(text(), limits.templateImports),
  resources: list(rawResource, limits.rawResources),
} as const;

const proxyTemplateSchema = object({ selectors: selectorsSchema, ...content, conf: object(content) });

export type RawResource = Infer<typeof rawResource>;
/** Envoy resources in addition to, or instead of, generated ones. Read it through `contentOf`. */
export type ProxyTemplate = Infer<typeof proxyTemplateSchema>;

interface Content {
  readonly imports?: readonly string[];
  readonly resources?: readonly RawResource[];
}

/** The sets of generated resources that can be imported. */
export const defaultProfile = "default-proxy";
export const profiles: readonly string[] = [defaultProfile];

/** The content of a template in either of its two layouts; top-level entries come first. */
export function contentOf(spec: ProxyTemplate): Required<Content> {
  const { imports = [], resources = [], conf } = spec;
  return {
    imports: [...imports, ...(conf?.imports ?? [])],
    resources: [...resources, ...(conf?.resources ?? [])],
  };
}

/** The path of the raw resource at an index of `contentOf`: `conf.resources[1]`. */
export function resourcePath({ resources = [] }: ProxyTemplate, index: number): string {
  return index < resources.length ? `resources[${index}]` : `conf.resources[${index - resources.length}]`;
}

const cannotBeEmpty = "cannot be empty";

function importProblem(profile: string): string | undefined {
  if (profile === "") return cannotBeEmpty;
  return profiles.includes(profile) ? undefined : `profile not found. Available profiles: ${profiles.join(", ")}`;
}

/** The message for an invalid raw resource. */
export const invalidNative = (reason: string): string => `native Envoy resource is not valid: ${reason}`;

function resourceProblem(resource: string): string | undefined {
  if (resource === "") return cannotBeEmpty;
  const parsed = parseNativeResource(resource, handedIn);
  return "reason" in parsed ? invalidNative(parsed.reason) : undefined;
}

function* validateContent({ imports = [], resources = [] }: Content, prefix: string, causes: Cause[]): Steps<void> {
  const check = (field: string, message: string | undefined) => {
    if (message !== undefined) causes.push({ field: `${prefix}${field}`, message });
  };
  imports.forEach((profile, index) => {
    check(`imports[${index}]`, importProblem(profile));
  });
  for (const [index, { name = "", version = "", resource = "" }] of resources.entries()) {
    yield;
    if (name === "") check(`resources[${index}].name`, cannotBeEmpty);
    if (version === "") check(`resources[${index}].version`, cannotBeEmpty);
    check(`resources[${index}].resource`, resourceProblem(resource));
  }
}

function* validation(spec: ProxyTemplate): Steps<Cause[]> {
  const causes: Cause[] = [];
  validateSelectors(spec.selectors, "selectors", "any", causes);
  yield* validateContent(spec, "", causes);
  yield* validateContent(spec.conf ?? {}, "conf.", causes);
  return causes;
}

/** Warns if Envoys would get nothing at all, which is surely not intended. */
function warnings(spec: ProxyTemplate): string[] {
  const { imports, resources } = contentOf(spec);
  if (imports.length > 0 || resources.length > 0) return [];
  return [
    "it has neither imports nor resources: the dataplanes that it selects lose all listeners and clusters. Write " +
      `"imports: [${defaultProfile}]" to have what Kuma generates. A kumactl 0.3.0 drops both unless they stand below ` +
      '"conf": use the kumactl of this release',
  ];
}

export const proxyTemplateType = policyType({
  name: "ProxyTemplate",
  path: "proxytemplates",
  pathAliases: ["proxy-templates"],
  summary: "Envoy resources that selected proxies get in addition to the generated ones, or in place of them.",
  cli: { singular: "proxytemplate", plural: "proxytemplates", aliases: ["proxy-template", "proxy-templates"] },
  schema: proxyTemplateSchema,
  validation,
  warnings,
  policy: {
    // A template without selectors matches every proxy.
    rules: ({ selectors = [] }) => [{ destinations: selectors.length > 0 ? selectors : [{}] }],
    level: "dataplane",
    combine: "one",
    field: "proxyTemplates",
    literal: true,
  },
});
