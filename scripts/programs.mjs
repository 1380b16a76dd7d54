/** The names of the programs in the executable, each a symlink beside it. */
export const programs = ["kuma-cp", "kuma-dp", "kumactl", "kuma-injector", "kuma-tcp-echo", "kuma-init"];
