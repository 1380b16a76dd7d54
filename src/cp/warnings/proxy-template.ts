import { contentOf, defaultProfile, type ProxyTemplate } from "../../resources/proxy-template.js";
import type { ChangeWarnings } from "./change.js";

/** Warns that dataplanes lose their generated resources. For an empty template, the type itself warns. */
export const templateWarnings: ChangeWarnings<ProxyTemplate> = async ({ spec, before }) => {
  const { imports, resources } = contentOf(spec);
  if (before === undefined || imports.length > 0 || resources.length === 0) return [];
  if (!contentOf(before).imports.includes(defaultProfile)) return [];
  return [
    `it no longer imports "${defaultProfile}": the dataplanes that it selects lose the listeners and clusters that Kuma ` +
      `generates for them. Write "imports: [${defaultProfile}]" to keep them`,
  ];
};
