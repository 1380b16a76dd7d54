import { storeKinds } from "../../src/store/kinds.js";
import { storeContract } from "../support/store-contract.js";
import { openOn, storeGrounds } from "../support/store-grounds.js";

for (const kind of storeKinds) {
  const ground = storeGrounds[kind.name];
  storeContract(kind.name, () => openOn(kind, ground), ground);
}
