// Of node-forge only these two modules are loaded: the whole takes six times as long.
declare module "node-forge/lib/asn1.js" {
  import { asn1 } from "node-forge";
  export default asn1;
}

declare module "node-forge/lib/util.js" {
  const util: {
    /** Bytes as a string with one character a byte; null for what is no address. */
    bytesFromIP(address: string): string | null;
  };
  export default util;
}
