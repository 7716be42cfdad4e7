package main

import "github.com/spf13/cobra"

// watchCommands returns none: the libraries of the live view do not build on AIX.
func watchCommands() []*cobra.Command { return nil }
