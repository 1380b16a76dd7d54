import { create } from "@bufbuild/protobuf";
import { SecretSchema } from "../../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { type EnvoyResource, encode } from "../../envoy/resource.js";
import { identityName, meshCaName } from "../../envoy/tls.js";
import type { IssuedIdentity } from "./identities.js";

const inline = (text: string) => ({
  specifier: { case: "inlineBytes" as const, value: new TextEncoder().encode(text) },
});

/** The SDS secret with a mesh's trust bundle, which its proxies validate peer certificates with. */
export function meshCaSecret(bundle: string): EnvoyResource {
  const message = create(SecretSchema, {
    name: meshCaName,
    type: { case: "validationContext", value: { trustedCa: inline(bundle) } },
  });
  return encode(SecretSchema, meshCaName, message);
}

/** The SDS secret with a proxy's certificate and private key. */
export function identitySecret({ certificateChain, privateKey }: IssuedIdentity): EnvoyResource {
  const message = create(SecretSchema, {
    name: identityName,
    type: {
      case: "tlsCertificate",
      value: { certificateChain: inline(certificateChain), privateKey: inline(privateKey) },
    },
  });
  return encode(SecretSchema, identityName, message);
}
