/** What requests to the API server may cost. It is trusted, but it may be slow, and what it stores is large. */
export const kubeLimits = {
  /** From sending a request to the last byte of the answer; watches excepted. */
  requestMs: 30_000,
  /** Of an answer, in bytes. A page of a list that is larger is asked for again with fewer objects. */
  answerBytes: 32 * 1024 * 1024,
  /** Objects in a page of a list. */
  pageObjects: 500,
  /** Of one event of a watch, in bytes. etcd refuses objects over 1.5 MiB. */
  eventBytes: 8 * 1024 * 1024,
  /** Bytes of an error's body that are read. */
  errorBytes: 64 * 1024,
  /** Connections for requests at a time; others wait. Each watch has its own in addition. */
  connections: 16,
  /** Attempts of a request that the server answers with 429, or with an error and Retry-After. */
  attempts: 5,
  /** The longest Retry-After that a request waits for, in milliseconds. */
  retryAfterMs: 10_000,
  /** Age at which a token or a kubeconfig is read again from its file. */
  credentialsMs: 60_000,
  /** The API server sends a bookmark about once a minute, so a watch that is silent for longer is dead. */
  silenceMs: 90_000,
  /** Back-off of a reflector. */
  firstRetryMs: 1_000,
  longestRetryMs: 30_000,
} as const;
