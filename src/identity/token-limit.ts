/**
 * A dataplane token has no more characters than this. Ours have some 700; those of Kubernetes' service accounts, one to
 * two thousand. Envoy sends the token with every call, so what is longer is a mistake or an attack.
 */
export const longestToken = 8192;
