package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/hosts"
)

// SourceKind is where a source keeps its targets. It is the key of the file that
// names the place.
type SourceKind string

// The kinds of sources.
const (
	SourceFile       SourceKind = "file"
	SourceHTTP       SourceKind = "http"
	SourceDNS        SourceKind = "dns"
	SourceKubernetes SourceKind = "kubernetes"
)

var sourceKinds = []SourceKind{SourceFile, SourceHTTP, SourceDNS, SourceKubernetes}

// DefaultRefresh is how often a source is read again, unless the file says.
const DefaultRefresh = time.Minute

// Source is a [[targets]] table whose hosts are kept elsewhere. Nobody changes it.
type Source struct {
	Kind          SourceKind
	Places        []string // patterns of files, one URL, names in the DNS, or "nodes"
	BearerFile    string   // of http: what to send as Authorization; "" for nothing
	CAFile        string   // of http: the authority of the certificate; "" for the system's
	LabelSelector string   // of kubernetes
	Refresh       time.Duration
	Line          int // of the table

	most    int    // targets
	hosts   int    // in the prefixes and ranges of a list
	prober  probe  // of all its targets; its tags are those of the table
	general tagMap // tags of [defaults]
}

type tagMap = map[string]string

// Name says in one line what the source is. Two sources of a file may have the same
// name.
func (s *Source) Name() string {
	name := string(s.Kind) + " " + strings.Join(s.Places, " ")
	if s.LabelSelector != "" {
		name += " " + s.LabelSelector
	}
	return name
}

// Most returns how many targets a list may have.
func (s *Source) Most() int { return s.most }

// SamePlace reports whether s and o have their lists from the same place.
func (s *Source) SamePlace(o *Source) bool { return s.Name() == o.Name() }

// Same reports whether s and o give the same targets in the same way.
func (s *Source) Same(o *Source) bool {
	return s.SamePlace(o) && s.BearerFile == o.BearerFile && s.CAFile == o.CAFile && s.Refresh == o.Refresh &&
		s.most == o.most && s.hosts == o.hosts && s.prober.same(&o.prober) && maps.Equal(s.general, o.general)
}

// same reports whether targets of p and o differ in nothing.
func (p *probe) same(o *probe) bool {
	key := func(p *probe) string { return p.probe(p.options.Family, nil, 0).key() }
	return key(p) == key(o) && p.both == o.both && maps.Equal(p.tags, o.tags) && p.thresholds == o.thresholds &&
		(p.percentiles == nil) == (o.percentiles == nil)
}

// example returns a target as the source makes them, to check its options.
func (s *Source) example() Target {
	return Target{Host: "the targets of " + s.Name(), Probe: s.prober.probe(s.prober.options.Family, nil, s.Line)}
}

// readSource reads the keys of a table that say where its hosts are kept. It returns
// nil if the table has hosts, or more or less than one such key, which is a fault.
func (r *reader) readSource(t *table) *Source {
	s := &Source{Refresh: DefaultRefresh}
	given := []string{}
	if _, ok := t.values["hosts"]; ok {
		given = append(given, "hosts")
	}
	for _, kind := range sourceKinds {
		if read(t, string(kind), r.words, &s.Places) {
			s.Kind = kind
		}
		if _, ok := t.values[string(kind)]; ok {
			given = append(given, string(kind))
		}
	}
	r.readSourceKeys(t, s)
	switch {
	case len(given) > 1:
		t.fault(given[1], "is beside %s: want only one of hosts, file, http, dns and kubernetes in a table", given[0])
		return nil
	case s.Kind == "": // without any, readHosts says so
		return nil
	}
	if err := s.check(); err != nil {
		t.fault(string(s.Kind), "%v", err)
		return nil
	}
	return s
}

// readSourceKeys reads the keys that go with a kind of source, and refuses them with
// another one.
func (r *reader) readSourceKeys(t *table, s *Source) {
	read(t, "refresh", r.duration(time.Second, 24*time.Hour), &s.Refresh)
	read(t, "bearer_file", r.text, &s.BearerFile)
	read(t, "ca_file", r.text, &s.CAFile)
	read(t, "label_selector", r.text, &s.LabelSelector)
	for key, kind := range map[string]SourceKind{"bearer_file": SourceHTTP, "ca_file": SourceHTTP, "label_selector": SourceKubernetes} {
		if _, ok := t.values[key]; ok && s.Kind != kind {
			t.fault(key, "goes only with %s", kind)
		}
	}
	if _, ok := t.values["refresh"]; ok && s.Kind == "" {
		t.fault("refresh", "goes only with file, http, dns or kubernetes")
	}
}

// check returns what is wrong with the places of s.
func (s *Source) check() error {
	if s.Kind != SourceFile && s.Kind != SourceDNS && len(s.Places) > 1 {
		return fmt.Errorf("has %d elements: want one, and a [[targets]] table for each other one", len(s.Places))
	}
	var errs []error
	for _, place := range s.Places {
		var err error
		switch s.Kind {
		case SourceFile:
			err = checkPattern(place)
		case SourceHTTP:
			err = checkURL(place)
		case SourceDNS:
			err = hosts.CheckName(place)
		case SourceKubernetes:
			if place != "nodes" {
				err = errors.New(`want "nodes". For pods, use dns with the name of a headless Service`)
			}
		}
		if err != nil {
			if u, bad := url.Parse(place); bad == nil && s.Kind == SourceHTTP {
				place = u.Redacted()
			}
			errs = append(errs, fmt.Errorf("%q: %w", place, err))
		}
	}
	return errors.Join(errs...)
}

// FileTypes are the extensions of files with targets.
var FileTypes = []string{".json", ".yml", ".yaml", ".txt"}

// checkPattern returns what is wrong with a pattern of files. Its folder must be
// known, because it is watched.
func checkPattern(pattern string) error {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return errors.New("is not a pattern: want a file name with * ? or [a-z]")
	}
	if strings.ContainsAny(filepath.Dir(pattern), "*?[") {
		return errors.New("has a pattern in the name of a folder: want * ? and [a-z] only after the last slash")
	}
	if ext := filepath.Ext(pattern); !slices.Contains(FileTypes, ext) {
		return errors.New("want a name that ends in .json, .yml or .yaml (Prometheus' file_sd), or .txt (one host a line)")
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want a URL, http://host/path or https://host/path")
	case u.User != nil:
		return errors.New("has a user or a password in the URL, which messages would show: put what to send as Authorization into a file, and its name into bearer_file")
	}
	return nil
}

// words converts a string, or a list of strings that is not empty.
func (r *reader) words(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, errors.New("is empty: want a string or a list of strings")
	}
	var texts []string
	for _, v := range list {
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return texts, nil
}

// ServiceAccount is the folder with a pod's token and authority.
const ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"
