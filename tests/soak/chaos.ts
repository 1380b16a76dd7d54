// npm run soak:chaos: a mesh of real Envoys under traffic goes through all that can happen to it, in random order.

import { chaosSoak } from "./chaos/soak.js";
import { soakMain } from "./form/soak.js";

await soakMain(chaosSoak());
