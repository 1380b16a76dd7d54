import { absentProgram } from "../lib/absent.js";

export const main = absentProgram({
  name: "kuma-injector",
  does: "adds a kuma-dp container to pods as Kubernetes admits them",
});
