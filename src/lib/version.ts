/** Build information that the bundle contains; absent when running from sources. */
interface Build {
  readonly version: string;
  readonly gitTag: string;
  readonly gitCommit: string;
  readonly buildDate: string;
}

declare const __BUILD__: Build | undefined;

const unknown = "unknown";

/** This build; every field is `unknown` when running from sources. */
export const build: Build =
  typeof __BUILD__ === "undefined"
    ? { version: unknown, gitTag: unknown, gitCommit: unknown, buildDate: unknown }
    : __BUILD__;

/** The output of `version`, or of `version --detailed` with four lines, without the final line break. */
export function versionText(detailed: boolean): string {
  if (!detailed) return build.version;
  return [
    `Version:    ${build.version}`,
    `Git Tag:    ${build.gitTag}`,
    `Git Commit: ${build.gitCommit}`,
    `Build Date: ${build.buildDate}`,
  ].join("\n");
}

/** True if the arguments request the detailed form, undefined if one is unknown. */
export function wantsDetails(args: readonly string[]): boolean | undefined {
  if (args.length === 0) return false;
  return args.every((arg) => arg === "-a" || arg === "--detailed") ? true : undefined;
}
