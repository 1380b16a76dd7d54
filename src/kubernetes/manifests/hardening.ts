/** What the Pod Security level `restricted` asks of a pod. The images name a numeric user that is not root. */
export const restrictedPod = {
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};

/** What the Pod Security level `restricted` asks of a container, and a root file system that can't be written. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
};
