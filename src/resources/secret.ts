import { resourceType } from "./resource.js";
import { bytes } from "./scalars.js";
import { type Infer, object } from "./schema.js";

const secretSchema = object({
  /** Bytes, as base64. */
  value: bytes(),
});

/** A key, or a certificate with its key. Its mesh is "" if it belongs to no mesh and outlives them all. */
export type Secret = Infer<typeof secretSchema>;

/**
 * The name of the Secret of a mesh's built-in certificate authority, which is in the same mesh; the same name as in
 * Kuma.
 */
export const authorityName = (mesh: string): string => `builtinca.${mesh}`;

export const secretType = resourceType<Secret>({
  name: "Secret",
  path: "secrets",
  access: "internal",
  // Kubernetes has Secrets of its own.
  kubernetes: undefined,
  schema: secretSchema,
});
