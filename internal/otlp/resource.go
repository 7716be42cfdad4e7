package otlp

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// NewResource describes this process. chosen are the user's attributes, and instance
// is the service.instance.id if they have none. A chosen attribute without a value
// removes one of ours.
func NewResource(chosen map[string]string, version, instance string, log *slog.Logger) (*resource.Resource, error) {
	all := map[string]string{string(semconv.ServiceVersionKey): version, string(semconv.ServiceInstanceIDKey): instance}
	if host, err := os.Hostname(); err == nil {
		all[string(semconv.HostNameKey)] = host
	} else {
		log.Warn("this host has no name: the resource has no host.name", "error", err)
	}
	maps.Copy(all, chosen)
	var attributes []attribute.KeyValue
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if v := strings.ToValidUTF8(all[k], "\uFFFD"); v != "" { // the name of a host can contain any bytes
			attributes = append(attributes, attribute.String(k, v))
		}
	}
	return resource.New(context.Background(), resource.WithAttributes(attributes...))
}

// instances is the UUID namespace of the ids of an Instance.
var instances = uuid.MustParse("6cf14d68-93c5-4f2b-9d0f-0b4a0c1d5a3e")

// An Instance is the identity of a process. It stays the same over restarts.
type Instance struct {
	ID   string // for service.instance.id, a UUID of version 5
	held held
}

// NewInstance returns the identity of the process that runs command with a file. It
// is made of the machine's id and name, the file's path and the command, so it is
// the same at each start. A second process with the same of all these gets another
// identity, which is as stable as the order in which the processes start. Two
// pingtels with one identity would overwrite each other's series.
//
// On systems other than Linux a second process is not noticed. With once the
// identity is a new one, because no later process continues its counts.
func NewInstance(command, file string, once bool) *Instance {
	if once {
		return &Instance{ID: uuid.NewString()}
	}
	if path, err := filepath.Abs(file); err == nil {
		file = path
	}
	host, _ := os.Hostname() // without a name the machine's id must do
	parts := []string{machineID(), host, command, file}
	const most = 1000
	for n := range most {
		if n > 0 {
			parts = append(parts[:4], strings.Repeat("+", n))
		}
		id := uuid.NewSHA1(instances, []byte(strings.Join(parts, "\x00"))).String()
		if held, free := hold(id); free {
			return &Instance{id, held}
		}
	}
	return &Instance{ID: uuid.NewString()}
}

// Close releases the identity.
func (i *Instance) Close() error { return i.held.Close() }

// machineID returns what identifies the installation, "" if nothing does.
func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"} {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}
