package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/output"
)

// systemFiles are what Go's packages read while the process runs: name resolution
// (the files in /etc, which may be links), certificates of authorities, time zones,
// and what the kernel tells of the process and of the network.
var systemFiles = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/ssl/certs/ca-certificates.crt",
}

var systemFolders = []string{
	"/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/pki", "/var/lib/ca-certificates",
	"/usr/share/zoneinfo", "/proc", config.ServiceAccount, // which is a link into /run, mostly
}

// confine restricts a process that listens to the files that it needs, if it can.
// Failing that it goes on: the restriction protects against a fault that nobody knows.
func (a *agent) confine(c *config.Config) {
	if a.Confine == nil || c.Web.Listen == "" {
		return
	}
	read := a.folders(c)
	var write []string
	if state := c.Agent.State; state != "" {
		if err := os.MkdirAll(state, 0o700); err != nil { // only a folder that is there can be allowed
			a.Log.Warn("nothing can be kept in the folder for the state", "error", err)
		}
		write = outermost([]string{state})
	}
	switch err := a.Confine(read, write); {
	case err == nil:
		a.confined = true
		a.Log.Debug("confined: this process can read and write only the files below these folders, and execute none",
			"read", strings.Join(read, " "), "write", strings.Join(write, " "))
	case errors.Is(err, errors.ErrUnsupported):
		a.Log.Debug("not confined: this system has no Landlock", "error", err)
	default:
		a.Log.Warn("not confined: this process can still read and write all files of its user", "error", err)
	}
}

// folders returns the folders of all files that the process may read again: those
// of the names, and those of the files that links lead to. A folder that is part of
// another one is left out.
func (a *agent) folders(c *config.Config) []string {
	files := append([]string{c.File}, systemFiles...)
	sources := c.Sources
	if m := c.Fleet.Members; m != nil {
		files = append(files, m.CredsFile, m.CAFile, m.CertFile, m.KeyFile)
		if m.Source != nil {
			sources = append(slices.Clip(sources), m.Source)
		}
	}
	for _, s := range sources {
		if s.Kind == config.SourceFile {
			files = append(files, s.Places...) // patterns, whose folders have no wildcards
			for _, pattern := range s.Places {
				if found, err := filepath.Glob(pattern); err == nil { // the reader of the file has looked at the pattern
					files = append(files, found...) // they may be links
				}
			}
		}
		files = append(files, s.BearerFile, s.CAFile)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return name == "" })
	for _, o := range a.outputs {
		if r, ok := o.Output.(output.Reader); ok {
			files = append(files, r.Files()...)
		}
	}
	list := append([]string(nil), systemFolders...)
	if f := os.Getenv("SSL_CERT_FILE"); f != "" { // of crypto/x509, as the next one
		files = append(files, f)
	}
	if d := os.Getenv("SSL_CERT_DIR"); d != "" {
		list = append(list, filepath.SplitList(d)...)
	}
	for _, f := range files {
		list = append(list, filepath.Dir(f))
		if to, err := filepath.EvalSymlinks(f); err == nil { // without an answer there is nothing to read
			list = append(list, filepath.Dir(to))
		}
	}
	for _, d := range list {
		if to, err := filepath.EvalSymlinks(d); err == nil {
			list = append(list, to)
		}
	}
	return outermost(list)
}

// outermost returns the folders of list that no other one contains, sorted.
func outermost(list []string) []string {
	var all []string
	for _, d := range list {
		if abs, err := filepath.Abs(d); err == nil { // fails only without a working folder, where a relative name means nothing
			all = append(all, abs)
		}
	}
	slices.Sort(all)
	var found []string
	for _, d := range slices.Compact(all) {
		inside := slices.ContainsFunc(found, func(outer string) bool {
			return outer == "/" || strings.HasPrefix(d, outer+"/")
		})
		if !inside {
			found = append(found, d)
		}
	}
	return found
}

// explained adds to an error of reading a file that a confined process may not read
// it, where that is the reason.
func (a *agent) explained(err error) error {
	if a.confined && strings.Contains(err.Error(), syscall.EACCES.Error()) { // faults of the file have only its text
		return fmt.Errorf("%w (pingtel has confined itself to the folders that it has read from so far: if the file is in another one, restart pingtel)", err)
	}
	return err
}
