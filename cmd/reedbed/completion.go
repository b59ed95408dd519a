package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a script for the shell to source.
func (c completionCmd) Run(model *kong.Application, term terminal) error {
	words := completions(model.Node, "")
	switch c.Shell {
	case "zsh":
		return zshScript(term.raw, words)
	case "fish":
		return fishScript(term.raw, words)
	}
	return bashScript(term.raw, words)
}

// place is one point of the command line: the subcommands named so far, and
// the words that may follow.
type place struct {
	path  string // "journal dump"; "" at the start
	words []word
}

type word struct{ text, help string }

// completions walks the visible commands, depth first.
func completions(node *kong.Node, path string) []place {
	here := place{path: path}
	var below []place
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		here.words = append(here.words, word{child.Name, child.Help})
		below = append(below, completions(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	for _, p := range node.Positional {
		if p.Enum == "" {
			continue
		}
		for _, value := range p.EnumSlice() {
			here.words = append(here.words, word{value, p.Help})
		}
	}
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			here.words = append(here.words, word{"--" + flag.Name, flag.Help})
		}
	}
	return append([]place{here}, below...)
}

// Every script finds the place by appending each word that extends a known
// path, which leaves out flags and their values.

func bashScript(w io.Writer, places []place) error {
	var b strings.Builder
	b.WriteString("# source <(reedbed completion bash)\n_reedbed_words() {\n  case \"$1\" in\n")
	for _, p := range places {
		fmt.Fprintf(&b, "    %q) echo %q ;;\n", p.path, texts(p.words))
	}
	b.WriteString(`    *) return 1 ;;
  esac
}
_reedbed() {
  local path="" next i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="${path:+$path }${COMP_WORDS[i]}"
    _reedbed_words "$next" >/dev/null && path="$next"
  done
  COMPREPLY=($(compgen -W "$(_reedbed_words "$path")" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _reedbed reedbed
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func zshScript(w io.Writer, places []place) error {
	var b strings.Builder
	b.WriteString("#compdef reedbed\n# source <(reedbed completion zsh)\n")
	b.WriteString("_reedbed_words() {\n  case \"$1\" in\n")
	for _, p := range places {
		fmt.Fprintf(&b, "    %q) reply=(", p.path)
		for _, word := range p.words {
			fmt.Fprintf(&b, " %s", quote(strings.ReplaceAll(word.text, ":", `\:`)+":"+word.help))
		}
		b.WriteString(" ) ;;\n")
	}
	b.WriteString(`    *) return 1 ;;
  esac
}
_reedbed() {
  local at="" next i
  local -a reply
  for ((i = 2; i < CURRENT; i++)); do
    next="${at:+$at }${words[i]}"
    _reedbed_words "$next" && at="$next"
  done
  _reedbed_words "$at"
  _describe reedbed reply || _files
}
compdef _reedbed reedbed
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func fishScript(w io.Writer, places []place) error {
	var b strings.Builder
	b.WriteString("# reedbed completion fish | source\nfunction __reedbed_at\n")
	b.WriteString("  set -l path\n  for word in (commandline -opc)[2..]\n")
	b.WriteString("    set -l next (string trim -- \"$path $word\")\n    switch $next\n")
	for _, p := range places[1:] {
		fmt.Fprintf(&b, "      case %s\n        set path $next\n", quote(p.path))
	}
	b.WriteString("    end\n  end\n  test \"$path\" = \"$argv[1]\"\nend\n")
	for _, p := range places {
		for _, word := range p.words {
			fmt.Fprintf(&b, "complete -c reedbed -n %s", quote("__reedbed_at "+quote(p.path)))
			if flag, ok := strings.CutPrefix(word.text, "--"); ok {
				fmt.Fprintf(&b, " -l %s", flag)
			} else {
				fmt.Fprintf(&b, " -a %s", word.text)
			}
			fmt.Fprintf(&b, " -d %s\n", quote(word.help))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func texts(words []word) string {
	var all []string
	for _, w := range words {
		all = append(all, w.text)
	}
	return strings.Join(all, " ")
}

// quote makes one word of text in any of the three shells.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
