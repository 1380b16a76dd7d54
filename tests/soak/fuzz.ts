// npm run soak:fuzz: hostile bytes on every port of kuma-cp, from a seed.
import { soakMain } from "./form/soak.js";
import { createFuzz } from "./fuzz/soak.js";

await soakMain(createFuzz());
