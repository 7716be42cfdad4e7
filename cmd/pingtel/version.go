package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the commit and the Go version",
		Example: "  pingtel version",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
	}
}

func printVersion(cmd *cobra.Command) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), version(buildInfo()))
	return err
}

func buildInfo() *debug.BuildInfo {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info
	}
	return &debug.BuildInfo{GoVersion: runtime.Version()} // built without module support
}

// productVersion returns only the version, from the tag or from the commit.
func productVersion(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" {
		return v
	}
	return "(devel)"
}

// version describes a build in one line.
func version(info *debug.BuildInfo) string {
	commit := "unknown"
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", modified"
		}
	}
	return fmt.Sprintf("pingtel %s, commit %s%s, %s, %s/%s", productVersion(info), commit, modified, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
