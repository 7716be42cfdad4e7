//go:build unix

package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a Go program that the tests run. Each is built from a module of
// its own, whose go.mod and go.sum name every version: a build resolves nothing.
type program struct {
	name   string
	folder string // of the module, below integration
	main   string // package
	tags   string // that leave out what the tests do not use
	ours   bool   // it uses pingtel's packages: code that does not compile fails the test

	once sync.Once
	path string
	err  error
}

var (
	collector  = &program{name: "collector", folder: "peer/collector", main: "."}
	prometheus = &program{name: "prometheus", folder: "peer/prometheus", main: "github.com/prometheus/prometheus/cmd/prometheus", tags: "remove_all_sd"}
	blackbox   = &program{name: "blackbox_exporter", folder: "peer/blackbox", main: "github.com/prometheus/blackbox_exporter"}
	promtool   = &program{name: "promtool", folder: "peer/prometheus", main: "github.com/prometheus/prometheus/cmd/promtool", tags: "remove_all_sd"}
	telegraf   = &program{name: "telegraf", folder: "peer/telegraf", main: "github.com/influxdata/telegraf/cmd/telegraf", tags: "custom," +
		"inputs.execd,inputs.exec,inputs.ping,outputs.file,outputs.influxdb,parsers.influx,parsers.nagios,serializers.influx"}
	natsServer    = &program{name: "nats", folder: "peer/nats", main: "github.com/nats-io/nats-server/v2"}
	natsCreds     = &program{name: "nats_creds", folder: "peer/nats", main: "./creds"}
	telegrafInput = &program{name: "telegraf_input", folder: "telegraf/input", main: ".", ours: true}
	stranger      = &program{name: "stranger", folder: "stranger/program", main: ".", ours: true}
	scrapeParser  = &program{name: "scrape_parser", folder: "peer/prometheus", main: "./parse"}
	nagiosParser  = &program{name: "nagios_parser", folder: "peer/telegraf", main: "./nagios"}
	grafanaSchema = &program{name: "grafana_schema", folder: "peer/grafana", main: "."}
	kubernetes    = &program{name: "kubernetes_types", folder: "peer/kubernetes", main: "."}
)

// Collector returns the path of a real OpenTelemetry collector with an OTLP
// receiver and the exporters debug and file. The first time it is downloaded
// and built, which takes some minutes; where that fails, the test is skipped.
func Collector(t *testing.T) string { t.Helper(); return collector.get(t) }

// Prometheus returns the path of a real Prometheus without its service
// discoveries, as Collector does.
func Prometheus(t *testing.T) string { t.Helper(); return prometheus.get(t) }

// Blackbox returns the path of a real blackbox_exporter, as Collector does.
func Blackbox(t *testing.T) string { t.Helper(); return blackbox.get(t) }

// Promtool returns the path of Prometheus' promtool, as Collector does.
func Promtool(t *testing.T) string { t.Helper(); return promtool.get(t) }

// ScrapeParser returns the path of a program that prints what Prometheus' parser
// makes of the answer to a scrape, as Collector does.
func ScrapeParser(t *testing.T) string { t.Helper(); return scrapeParser.get(t) }

// Telegraf returns the path of a real Telegraf with the plugins that the tests
// use, as Collector does.
func Telegraf(t *testing.T) string { t.Helper(); return telegraf.get(t) }

// NATS returns the path of a real NATS server, as Collector does.
func NATS(t *testing.T) string { t.Helper(); return natsServer.get(t) }

// NATSCreds returns the path of a program that makes credentials for a NATS server, as
// Collector does.
func NATSCreds(t *testing.T) string { t.Helper(); return natsCreds.get(t) }

// TelegrafInput returns the path of an input of Telegraf that is made of
// pingtel's packages and run by Telegraf's shim, as Collector does.
func TelegrafInput(t *testing.T) string { t.Helper(); return telegrafInput.get(t) }

// Stranger returns the path of a program that uses pingtel's public packages
// from a module outside of pingtel, as Collector does.
func Stranger(t *testing.T) string { t.Helper(); return stranger.get(t) }

// NagiosParser returns the path of a program that prints what Telegraf's parser
// makes of the output of a Nagios plugin, as Collector does.
func NagiosParser(t *testing.T) string { t.Helper(); return nagiosParser.get(t) }

// GrafanaSchema returns the path of a program that checks dashboards against
// Grafana's schema, as Collector does.
func GrafanaSchema(t *testing.T) string { t.Helper(); return grafanaSchema.get(t) }

// KubernetesTypes returns the path of a program that builds folders with kustomize and
// decodes the objects strictly into Kubernetes' own types, as Collector does.
func KubernetesTypes(t *testing.T) string { t.Helper(); return kubernetes.get(t) }

func (p *program) get(t *testing.T) string {
	t.Helper()
	p.once.Do(func() { p.path, p.err = p.find(t) })
	if errors.Is(p.err, errBroken) {
		t.Fatal(p.err)
	}
	if p.err != nil {
		t.Skipf("no %s to test with: %v\nIts build needs the Go module proxy once, room in the Go caches and some minutes, for which\n"+
			"go test -timeout 1h ./integration/peer gives it more than the ten that go test gives by itself", p.name, p.err)
	}
	return p.path
}

// find builds the program, unless the process that started this one in a
// network namespace has done so.
func (p *program) find(t *testing.T) (string, error) {
	env := "PINGTEL_TEST_" + strings.ToUpper(p.name)
	if path := os.Getenv(env); path != "" {
		return path, nil
	}
	path, err := p.make(t)
	if err != nil {
		return "", err
	}
	return path, os.Setenv(env, path) //nolint:usetesting // it outlives the test: the next ones and their processes need it
}

func (p *program) build(to string) []string {
	args := []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s"}
	if p.tags != "" {
		args = append(args, "-tags="+p.tags)
	}
	return append(args, "-o", to, p.main)
}

// make builds the program in the user's cache. Where it is there already and
// up to date, go build finds that out in a second or two. A build that takes
// too much of the test's time is given up, for the next one to go on with.
func (p *program) make(t *testing.T) (string, error) {
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		limit, cancel := context.WithTimeoutCause(ctx, time.Until(end)*3/4, errors.New("it takes too long"))
		defer cancel()
		ctx = limit
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "pingtel-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, p.name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := wait(ctx, lock); err != nil {
		return "", fmt.Errorf("wait for another build, by %s: %w", lock.Name(), err)
	}
	module, err := p.module()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, p.name)
	args := p.build(path)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its compilers
	if out, err := Output(cmd); err != nil {
		if p.ours && ctx.Err() == nil && !noDownload.MatchString(out) {
			return "", fmt.Errorf("%w: %w", errBroken, err)
		}
		return "", errors.Join(context.Cause(ctx), err)
	}
	return path, nil
}

// errBroken is the error of a program of ours whose build fails although all
// modules could be downloaded.
var errBroken = errors.New("its go.mod, go.sum or code does not fit pingtel's packages any more;" +
	" after a change of pingtel's go.mod, 'go build -mod=mod' in the program's folder writes its go.mod and go.sum anew")

// noDownload matches what the go command says where it cannot download a module.
var noDownload = regexp.MustCompile(`GOPROXY=off|(Get "|reading )https?://`)

// wait locks a file that another process may hold: packages are tested side by
// side.
func wait(ctx context.Context, f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// module is the folder of the program's module. A test runs in the folder of
// its package.
func (p *program) module() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("the test does not run in its folder of the source code")
	}
	return filepath.Join(filepath.Dir(file), "integration", filepath.FromSlash(p.folder)), nil
}
