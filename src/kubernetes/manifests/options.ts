import { count, type Form, imageName, imageRegistry, imageTag, namespaceName, oneOf, serviceName } from "./form.js";

/** A choice of whoever installs: a flag of `kumactl install control-plane` and a value of the Helm chart. */
export interface InstallOption<T extends string | number = string | number> {
  /** The flag; the chart's value has the same name in camel case, which is the key in the table. */
  readonly flag: string;
  readonly form: Form<T>;
  /** A value, or the value of another option with a suffix. */
  readonly default: T | Derived;
  /** One line of help. */
  readonly help: string;
}

export interface Derived {
  readonly from: string;
  readonly suffix: string;
}

function option<T extends string | number>(
  flag: string,
  form: Form<T>,
  preset: NoInfer<T> | Derived,
  help: string,
): InstallOption<T> {
  return { flag, form, default: preset, help };
}

const imageOf = (program: string): Derived => ({ from: "imageRegistry", suffix: `/${program}` });

/** Every option but the namespace and the certificates, in the order of `values.yaml`. `version` is the default tag. */
export const optionTable = (version: string) => ({
  imageRegistry: option("image-registry", imageRegistry, "localhost", "registry of the images, and a path in it"),
  imagePullPolicy: option(
    "image-pull-policy",
    oneOf("IfNotPresent", "Always", "Never"),
    "IfNotPresent",
    "when nodes pull both images: one of IfNotPresent|Always|Never",
  ),
  controlPlaneVersion: option(
    "control-plane-version",
    imageTag,
    version,
    "tag of the images; by default the version of this release",
  ),
  controlPlaneImage: option(
    "control-plane-image",
    imageName,
    imageOf("kuma-cp"),
    "image of the control plane; by default kuma-cp in the registry",
  ),
  controlPlaneServiceName: option(
    "control-plane-service-name",
    serviceName,
    "kuma-control-plane",
    "Service of the control plane",
  ),
  replicas: option("replicas", count(1, 100), 1, "instances of the control plane"),
  injectorImage: option(
    "injector-image",
    imageName,
    imageOf("kuma-injector"),
    "image of the injector; by default kuma-injector in the registry",
  ),
  injectorServiceName: option("injector-service-name", serviceName, "kuma-injector", "Service of the injector"),
  injectorFailurePolicy: option(
    "injector-failure-policy",
    oneOf("Ignore", "Fail"),
    "Ignore",
    "whether new pods wait (Fail) or start without sidecar (Ignore) while no injector answers",
  ),
  nativeSidecar: option(
    "native-sidecar",
    oneOf("auto", "true", "false"),
    "auto",
    "whether sidecars are init containers that keep running; auto: since Kubernetes 1.29",
  ),
  dataplaneImage: option(
    "dataplane-image",
    imageName,
    imageOf("kuma-dp"),
    "image of the sidecars; by default kuma-dp in the registry",
  ),
  dataplaneInitImage: option(
    "dataplane-init-image",
    imageName,
    imageOf("kuma-init"),
    "image that redirects a pod's traffic; by default kuma-init in the registry",
  ),
  dataplaneInitVersion: option(
    "dataplane-init-version",
    imageTag,
    { from: "controlPlaneVersion", suffix: "" },
    "tag of that image; by default that of the others",
  ),
});

export const namespaceOption = option("namespace", namespaceName, "kuma-system", "namespace of the control plane");

export type OptionTable = ReturnType<typeof optionTable>;
export type OptionKey = keyof OptionTable;
type ValueOf<Option> = Option extends InstallOption<infer T> ? T : never;
export type OptionValues = { readonly [Key in OptionKey]: ValueOf<OptionTable[Key]> };

/** Everything that the printed documents depend on, besides certificates. */
export type InstallOptions = OptionValues & { readonly namespace: string };

/** Completes what the user chose with the defaults of the table. */
export function completeOptions(table: OptionTable, chosen: Partial<OptionValues>): OptionValues {
  const values: Record<string, string | number> = {};
  for (const [key, { default: preset }] of Object.entries(table)) {
    const given = chosen[key as OptionKey];
    const value = typeof preset === "object" ? `${values[preset.from]}${preset.suffix}` : preset;
    values[key] = given ?? value;
  }
  return values as OptionValues;
}
