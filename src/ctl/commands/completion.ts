import { completeProgram } from "../../lib/cli.js";
import type { Command, Program } from "../../lib/command.js";
import { complete } from "../complete.js";
import { command } from "../globals.js";

/** The scripts only call `kumactl __complete`, so that the commands themselves are the only source of candidates. */
const scripts: Readonly<Record<string, { readonly script: string; readonly load: string }>> = {
  bash: {
    load: "source <(kumactl completion bash)",
    script: `# bash completion for kumactl
_kumactl() {
  local word line words=() i
  # bash takes --flag=value for three words, of which the middle one is the sign
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ "$word" != "=" ]]; then words+=("$word"); elif ((i == COMP_CWORD)); then words+=(""); fi
  done
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    COMPREPLY+=("$line")
  done < <(kumactl __complete -- "\${words[@]}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "\${words[-1]}")
  fi
}
complete -o filenames -F _kumactl kumactl
`,
  },
  zsh: {
    load: "source <(kumactl completion zsh)",
    script: `#compdef kumactl
# zsh completion for kumactl
_kumactl() {
  local -a candidates
  local word about
  while IFS=$'\\t' read -r word about; do
    candidates+=("\${word//:/\\\\:}\${about:+:$about}")
  done < <(kumactl __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then
    _describe kumactl candidates
  else
    _files
  fi
}
# As a file of $fpath this is the function's own body at its first call.
if [[ $funcstack[1] == _kumactl ]]; then _kumactl "$@"; else compdef _kumactl kumactl; fi
`,
  },
  fish: {
    load: "kumactl completion fish | source",
    script: `# fish completion for kumactl
function __kumactl_complete
  set -l words (commandline -opc) (commandline -ct)
  kumactl __complete -- $words[2..] 2>/dev/null
end
function __kumactl_has_none
  test -z "$(__kumactl_complete)"
end
complete -c kumactl -f -a '(__kumactl_complete)'
complete -c kumactl -F -n __kumactl_has_none
`,
  },
};

function scriptCommand(shell: string, { script, load }: { readonly script: string; readonly load: string }): Command {
  return command({
    path: `completion ${shell}`,
    summary: `Print the completion script for ${shell}`,
    details: `To load it in this shell: ${load}`,
    async run({ io }) {
      io.stdout.write(script);
    },
  });
}

/** `completion SHELL`, and the hidden command that the scripts call. `program` is what they complete. */
export function completionCommands(program: () => Program): Command[] {
  return [
    ...Object.entries(scripts).map(([shell, script]) => scriptCommand(shell, script)),
    command({
      path: "__complete",
      summary: "Print the completions of the given words, one per line",
      args: "any",
      async run({ args, io }) {
        const { tree, globalFlags } = completeProgram(program());
        for (const { word, about } of complete(tree, globalFlags, args)) io.stdout.write(`${word}\t${about}\n`);
      },
    }),
  ];
}
