import { failure, misuse } from "./entry.js";

/** Errors in the command line of any program. */
export const commandLineErrors = {
  "command.unknown": failure`unknown command "${"command"}" for "${"parent"}"${"hint"}\n\nRun '${"parent"} --help' for usage.`,
  "arguments.invalid": misuse`${"problem"}`,
  "arguments.count": misuse`accepts ${"expected"} arg(s), received ${"received"}`,
  "flag.unknown": misuse`unknown ${"kind"}: ${"flag"}${"hint"}`,
  "flag.required": misuse`required flag(s) ${"flags"} not set`,
  "flag.repeated": misuse`flag --${"flag"} takes one value, but is set to "${"value"}" and to "${"other"}"`,
  "flag.takes-none": misuse`flag ${"flag"} takes no value`,
  "flag.takes-one": misuse`flag needs an argument: ${"flag"}${"hint"}`,
  "flag.value": misuse`invalid argument "${"value"}" for "${"flag"}" flag: ${"reason"}`,
  "flag.together": misuse`${"flags"} have to be given together`,
  "flag.apart": misuse`${"flag"} can't be combined with ${"others"}`,
  "flag.missing": misuse`one of ${"flags"} has to be given`,
  "output.unknown": failure`unknown output format "${"format"}"${"hint"}`,
  "output.choice": failure`known formats are ${"formats"}`,
  "log-level.unknown": failure`unknown log level "${"level"}"`,
  "log-format.unknown": failure`unknown log format "${"format"}"; known ones are ${"formats"}`,
  "duration.invalid": failure`"${"duration"}" is not a duration; write for example 300ms, 45s, 1m30s or 720h`,
  "duration.not-positive": failure`has to be longer than 0s`,
} as const;
