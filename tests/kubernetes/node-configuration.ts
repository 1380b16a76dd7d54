import { nodeName } from "./credentials.js";
import { nodeAddress } from "./node-network.js";

/** kubelet's configuration file. @param cgroup below which its pods' cgroups are */
export const kubeletConfiguration = (cgroup: string): object => ({
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  address: nodeAddress,
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: "AlwaysAllow" },
  cgroupDriver: "cgroupfs",
  cgroupRoot: `/${cgroup}`,
  // Test machines may still have it; Kubernetes 1.37 is the last version that runs there.
  failCgroupV1: false,
  failSwapOn: false,
  containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
  clusterDNS: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  resolvConf: "/etc/resolv.conf",
  // A full disk or a busy machine is no reason to evict a test's pods or to delete images that can't be pulled.
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  evictionHard: {
    "memory.available": "1Mi",
    "nodefs.available": "0%",
    "imagefs.available": "0%",
    "nodefs.inodesFree": "0%",
  },
  localStorageCapacityIsolation: false,
});

/** kube-proxy's configuration file. */
export const proxyConfiguration = (mode: "nftables" | "iptables", kubeconfig: string): object => ({
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode,
  clusterCIDR: "10.244.0.0/24",
  hostnameOverride: nodeName,
  bindAddress: nodeAddress,
  healthzBindAddress: "127.0.0.1:10256",
  metricsBindAddress: "127.0.0.1:10249",
  clientConnection: { kubeconfig },
  // Settings of the whole machine.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
});
