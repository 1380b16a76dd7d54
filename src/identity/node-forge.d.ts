// Only these two modules of node-forge are loaded: all of it takes six times as long to load.
declare module "node-forge/lib/asn1.js" {
  import { asn1 } from "node-forge";
  export default asn1;
}

declare module "node-forge/lib/util.js" {
  const util: {
    /** Bytes as a string with one character per byte; null for an invalid address. */
    bytesFromIP(address: string): string | null;
  };
  export default util;
}
