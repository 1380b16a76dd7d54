/** The names under which the executable is a program, each a symlink beside it. */
export const programs = ["kuma-cp", "kuma-dp", "kumactl", "kuma-injector", "kuma-tcp-echo", "kuma-init"];
