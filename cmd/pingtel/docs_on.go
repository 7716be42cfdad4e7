//go:build gendocs

package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// docsCommands returns the command that writes man pages and completions, which
// packaging/build.sh runs. The released binary has neither this command nor the
// Markdown library that it needs.
func docsCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "gendocs DIR",
		Short:  "Write man pages to DIR/man and completions to DIR/completion",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE:   func(cmd *cobra.Command, args []string) error { return writeDocs(cmd.Root(), args[0]) },
	}}
}

func writeDocs(root *cobra.Command, dir string) error {
	man, completion := filepath.Join(dir, "man"), filepath.Join(dir, "completion")
	for _, d := range []string{man, completion} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true // the same source gives the same bytes
	header := doc.GenManHeader{Section: "1", Source: "pingtel", Manual: "pingtel"}
	if err := doc.GenManTree(root, &header, man); err != nil {
		return err
	}
	shells := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"pingtel.bash", func(w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
		{"pingtel.zsh", root.GenZshCompletion},
		{"pingtel.fish", func(w io.Writer) error { return root.GenFishCompletion(w, true) }},
	}
	for _, s := range shells {
		if err := writeFile(filepath.Join(completion, s.name), s.write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close() // the first error is the cause
		return err
	}
	return f.Close()
}
