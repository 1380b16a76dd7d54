import { tlsServers } from "./manifests/pairs.js";

/** A webhook configuration of the installation. */
export interface ConfigurationName {
  readonly plural: "mutatingwebhookconfigurations" | "validatingwebhookconfigurations";
  readonly name: string;
}

export const defaulterConfiguration = "kuma-admission-mutating-webhook-configuration";
export const validatorConfiguration = "kuma-validating-webhook-configuration";
export const injectorConfiguration = "kuma-injector-webhook-configuration";

/** A server of webhooks: the Secret with its certificate, and the configurations by which API servers trust it. */
export interface WebhookServer {
  readonly secret: string;
  readonly configurations: readonly ConfigurationName[];
}

/** The servers that `kumactl install` prints. */
export const webhookServers: readonly WebhookServer[] = [
  {
    secret: tlsServers.admissionServer.secret,
    configurations: [
      { plural: "mutatingwebhookconfigurations", name: defaulterConfiguration },
      { plural: "validatingwebhookconfigurations", name: validatorConfiguration },
    ],
  },
  {
    secret: tlsServers.injector.secret,
    configurations: [{ plural: "mutatingwebhookconfigurations", name: injectorConfiguration }],
  },
];
