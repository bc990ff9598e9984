package main

import (
	"github.com/urfave/cli/v2"
)

// The scripts ask the program itself, with --generate-bash-completion behind what was typed.
const (
	bashCompletion = `_backoffice_complete() {
  local cur="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  [[ "$cur" == -* ]] && words+=("$cur")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _backoffice_complete backoffice
`
	zshCompletion = `#compdef backoffice
_backoffice() {
  local -a options
  local cur="${words[CURRENT]}"
  if [[ "$cur" == -* ]]; then
    options=("${(@f)$("${(@)words[1,CURRENT-1]}" "$cur" --generate-bash-completion 2>/dev/null)}")
  else
    options=("${(@f)$("${(@)words[1,CURRENT-1]}" --generate-bash-completion 2>/dev/null)}")
  fi
  if [[ -n "${options[1]}" ]]; then _describe 'values' options; else _files; fi
}
compdef _backoffice backoffice
`
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes commands and flags in a shell",
		ArgsUsage: "SHELL",
		Description: `SHELL is bash or zsh.

  source <(backoffice completion bash)
  source <(backoffice completion zsh)`,
		Action: func(c *cli.Context) error {
			switch shell := c.Args().First(); shell {
			case "bash":
				return printf(c, "%s", bashCompletion)
			case "zsh":
				return printf(c, "%s", zshCompletion)
			default:
				return usagef("no completion for shell %q; use bash or zsh", shell)
			}
		},
	}
}
