package otel

import (
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/google/uuid"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
)

// newResource describes this process: what the user says, and what it can say
// of itself besides. Two pingers could not be told apart without
// service.instance.id.
func newResource(chosen map[string]string, version string, log *slog.Logger) *resourcepb.Resource {
	all := map[string]string{"service.version": version, "service.instance.id": uuid.NewString()}
	if host, err := os.Hostname(); err == nil {
		all["host.name"] = host
	} else {
		log.Warn("this host has no name: the resource goes without host.name", "error", err)
	}
	maps.Copy(all, chosen)
	r := &resourcepb.Resource{}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if all[k] == "" {
			continue
		}
		r.Attributes = append(r.Attributes, &commonpb.KeyValue{
			Key: k, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: all[k]}},
		})
	}
	return r
}
