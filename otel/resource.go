package otel

import (
	"log/slog"
	"maps"
	"os"

	"github.com/google/uuid"
)

// newResource describes this process: what the user says, and what it can say
// of itself besides. Two pingers could not be told apart without
// service.instance.id.
func newResource(chosen map[string]string, version string, log *slog.Logger) map[string]string {
	all := map[string]string{"service.version": version, "service.instance.id": uuid.NewString()}
	if host, err := os.Hostname(); err == nil {
		all["host.name"] = host
	} else {
		log.Warn("this host has no name: the resource goes without host.name", "error", err)
	}
	maps.Copy(all, chosen)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}
