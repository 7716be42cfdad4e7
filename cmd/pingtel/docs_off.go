//go:build !gendocs

package main

import "github.com/spf13/cobra"

// docsCommands returns none: only packaging needs those, see docs_on.go.
func docsCommands() []*cobra.Command { return nil }
