import { failure } from "./entry.js";

/** Settings of kuma-cp and kuma-dp, and the files they name. */
export const settingsErrors = {
  "settings.invalid": failure`Invalid configuration: ${"problems"}`,
  "settings.file": failure`Failed to access configuration file "${"file"}"`,
  "setting.invalid": failure`${"setting"} is ${"value"}, but has to be ${"expected"}`,
  "setting.store-type": failure`${"setting"} is "${"value"}": Type should be either ${"expected"}`,
  "setting.mesh": failure`${"setting"} has to be a Mesh in YAML: ${"reason"}`,
  "setting.masked": failure`${"setting"} is ${"mask"}, which is shown instead of a password`,
  "setting.empty": failure`${"setting"} must not be empty`,
  "setting.directories": failure`${"setting"} names ${"count"} directories; the maximum is ${"most"}`,
  "setting.directory": failure`${"setting"}: the directory "${"directory"}" ${"problem"}`,
  "setting.unreadable": failure`${"setting"} names "${"file"}", which can't be read: ${"reason"}`,
  "origins.count": failure`${"setting"} contains ${"count"} origins; the maximum is ${"most"}`,
  "origins.invalid": failure`${"setting"} contains "${"origin"}", ${"problem"}. Write an origin such as https://ui.example.com,
    or a regular expression in the syntax of RE2 such as "https://.*\\.example\\.com"`,
  "key-pair.malformed": failure`${"setting"} names "${"file"}", which contains no ${"expected"} in PEM`,
  "key-pair.mismatch": failure`${"setting"} names "${"file"}", which is not the key of the certificate in
    "${"certFile"}" (${"certSetting"})`,
  "secrets-token.unusable": failure`${"setting"} names "${"file"}", which can be neither read nor created: ${"reason"}`,
  "secrets-token.unsafe": failure`${"setting"} names "${"file"}", which can't be created safely: "${"directory"}" is a
    directory that ${"problem"}`,
  "secrets-token.no-file": failure`${"setting"} names "${"file"}", which is not a file`,
  "secrets-token.foreign": failure`${"setting"} names "${"file"}", which ${"problem"}: whoever owns it can read all secrets`,
  "secrets-token.shared": failure`${"setting"} names "${"file"}", which other users than its owner can access:
    whoever reads it can read all secrets; chmod it to 0600`,
  "secrets-token.malformed": failure`${"setting"} names "${"file"}", which contains no token of at least ${"shortest"}
    visible characters; delete it to have a new one created`,
  "client-certificates.unreadable": failure`${"setting"} names "${"directory"}", which can't be read as a directory:
    ${"reason"}`,
  "client-certificates.none": failure`${"setting"} names "${"directory"}", which has no file that ends in ${"suffix"}${"others"}:
    put the certificates of all clients there, such as that of
    \`kumactl generate certificate --type=client --cert=client.pem --key=client.key\``,
  "client-certificate.unreadable": failure`"${"file"}", in the directory that ${"setting"} names, can't be read: ${"reason"}`,
  "client-certificate.missing": failure`"${"file"}", in the directory that ${"setting"} names, contains no certificate in
    PEM${"instead"}: remove it`,
  "client-certificate.malformed": failure`"${"file"}", in the directory that ${"setting"} names, contains a certificate that
    can't be parsed: replace it or remove it`,
  "ca-cert.unreadable": failure`could not read --ca-cert-file ${"file"}: ${"reason"}`,
} as const;
