/**
 * The maximum length of a dataplane token, in characters. Ours have some 700; Kubernetes service account tokens have
 * one to two thousand. Envoy sends the token with every call, so a longer one is a mistake or an attack.
 */
export const longestToken = 8192;
