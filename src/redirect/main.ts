import { absentProgram } from "../lib/absent.js";

export const main = absentProgram({
  name: "kuma-init",
  does: "redirects a pod's traffic through its kuma-dp before the pod's containers start",
});
