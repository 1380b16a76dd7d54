import { mayLogTo } from "../../lib/log-directories.js";
import { dataplaneCandidates } from "../../policy/dataplane-candidates.js";
import {
  contentOf,
  defaultProfile,
  type ProxyTemplate,
  profiles,
  proxyTemplateType,
} from "../../resources/proxy-template.js";
import type { Stored } from "../../store/store.js";
import { type Ignored, outsideText } from "../ignored.js";
import { forbiddenAddresses } from "../raw/native.js";
import { rawResourcesOf } from "../raw/readings.js";
import { type ConfigDraft, policyEffect } from "./effect.js";

function unknownImports(policy: Stored<ProxyTemplate>): Ignored[] {
  return contentOf(policy.spec)
    .imports.filter((profile) => !profiles.includes(profile))
    .map((profile) => ({ policy, field: "imports", reason: `there is no profile ${JSON.stringify(profile)}` }));
}

/**
 * Adds a template's raw resources. They override generated resources of the same name, and the last one of a name wins.
 * A resource that writes to a file outside the proxy's log directories is left out.
 */
function addRaw(
  { config, ignored, placement, options: { newerApi, ownServers } }: ConfigDraft,
  policy: Stored<ProxyTemplate>,
): void {
  const { resources, unreadable } = rawResourcesOf(policy, newerApi);
  for (const { kind, resource, files, addresses, field } of resources) {
    const outside = files.find((file) => !mayLogTo(placement.logDirectories, file));
    const [forbidden] = ownServers === undefined ? [] : forbiddenAddresses(ownServers, addresses);
    if (outside !== undefined) ignored.push({ policy, field, reason: outsideText(outside) });
    else if (forbidden === undefined) config[kind].set(resource.name, resource);
    else ignored.push({ policy, field, reason: `${forbidden.field}: ${forbidden.message}` });
  }
  for (const { field, reason } of unreadable) ignored.push({ policy, field, reason });
}

/**
 * A proxy gets the profiles that its template imports and the template's raw resources; without one, the default
 * profile.
 */
export const proxyTemplateEffect = policyEffect(proxyTemplateType, {
  config(table, draft, addGenerated) {
    const template = dataplaneCandidates(table, draft.proxy.inbounds)[0]?.policy;
    if (template === undefined || contentOf(template.spec).imports.includes(defaultProfile)) addGenerated();
    if (template === undefined) return;
    draft.ignored.push(...unknownImports(template));
    addRaw(draft, template);
  },
});
