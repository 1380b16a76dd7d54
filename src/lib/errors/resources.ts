import { failure } from "./entry.js";

/** Resources, their documents, and missing resources. */
export const resourceErrors = {
  "resource.malformed": failure`${"place"}${"problem"}`,
  "resource.missing": failure`there is no ${"type"} with name "${"name"}"`,
  "resource.not-found": failure`there is no ${"type"} "${"name"}"${"place"}`,
  "mesh.unknown": failure`there is no mesh "${"mesh"}"; ${"hint"}`,
  "name.invalid": failure`"${"name"}" is not a valid name`,
  "type.unknown": failure`unknown TYPE: ${"type"}. Allowed values: ${"types"}${"hint"}`,
  "document.invalid": failure`YAML contains invalid resource: ${"place"}${"reason"}`,
  "document.missing": failure`YAML contains invalid resource: ${"place"}the input is empty`,
  "document.type": failure`invalid type of resource type "${"type"}"; ${"expected"}`,
  "field.empty": failure`${"field"} field cannot be empty`,
  "field.unknown": failure`${"problem"}`,
  "source.repeated": failure`standard input (-f -) is given twice, but can be read only once`,
  "source.unreadable": failure`error while reading provided file: ${"reason"}`,
  "template.invalid": failure`the template can't be rendered: ${"reason"}`,
} as const;
