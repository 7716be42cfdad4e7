package otel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// object is what TestKubernetes looks at in a ConfigMap, a Deployment or a DaemonSet.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct {
				SecurityContext struct {
					Sysctls []struct{ Name, Value string }
				}
				Containers []container
				Volumes    []struct {
					Name      string
					ConfigMap struct{ Name string }
				}
			}
		}
	}
}

type container struct {
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort int
	}
	LivenessProbe, ReadinessProbe struct {
		HTTPGet struct{ Path, Port string }
	}
	VolumeMounts []struct{ Name, MountPath string }
}

// TestKubernetes builds the manifests as kubectl apply -k does and decodes them strictly
// into Kubernetes' types. Then it runs pingtel with the configuration of the ConfigMap
// and asks what the kubelet and Prometheus ask: each must get 200.
func TestKubernetes(t *testing.T) {
	types := peer.KubernetesTypes(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		for folder, want := range map[string]string{"../../deploy/kubernetes": "Deployment", "../../deploy/kubernetes/raw": "DaemonSet"} {
			t.Run(want, func(t *testing.T) {
				out, err := exec.Command(types, folder).Output()
				if err != nil {
					t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
				}
				var objects []object
				if err := json.Unmarshal(out, &objects); err != nil || len(objects) != 2 || objects[0].Kind != "ConfigMap" && objects[1].Kind != "ConfigMap" {
					t.Fatalf("%v: want a ConfigMap and a %s of %s", err, want, out)
				}
				config, workload := objects[0], objects[1]
				if config.Kind != "ConfigMap" {
					config, workload = workload, config
				}
				if workload.Kind != want {
					t.Errorf("a %s, want a %s", workload.Kind, want)
				}
				askPod(t, config, workload)
			})
		}
		broken := t.TempDir()
		if err := os.CopyFS(broken, os.DirFS("../../deploy/kubernetes")); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(broken, "deployment.yaml")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.Replace(string(text), "livenessProbe:", "livenesProbe:", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := peer.Output(exec.Command(types, broken)); err == nil || !strings.Contains(out, `unknown field "livenesProbe"`) {
			t.Errorf("a key that does not exist: %v, %s", err, out)
		}
	})
}

// askPod runs the container of a workload, as far as a process can, and asks its probes.
func askPod(t *testing.T, config, workload object) {
	pod := workload.Spec.Template.Spec
	c, volume := pod.Containers[0], pod.Volumes[0]
	if volume.ConfigMap.Name != config.Metadata.Name || c.VolumeMounts[0].Name != volume.Name {
		t.Errorf("mounts %v of volume %v, want the map %s", c.VolumeMounts, volume, config.Metadata.Name)
	}
	for _, s := range pod.SecurityContext.Sysctls { // the test is not the pod's user, so its group is allowed, too
		if s.Name != "net.ipv4.ping_group_range" {
			t.Errorf("sysctl %s", s.Name)
		}
		if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(s.Name, ".", "/"), []byte("0 65532"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for name, text := range config.Data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = a
		if path.Dir(a) == c.VolumeMounts[0].MountPath {
			args[i] = filepath.Join(dir, path.Base(a))
		}
	}
	cmd := exec.Command(peer.Pingtel(), args...)
	cmd.Env = append(os.Environ(), "HOST_IP=127.0.0.1")
	p := peer.Start(t, cmd)
	defer p.Stop()
	port := c.Ports[0]
	if got := workload.Spec.Template.Metadata.Annotations["prometheus.io/port"]; got != fmt.Sprint(port.ContainerPort) {
		t.Errorf("Prometheus asks port %s, want %d", got, port.ContainerPort)
	}
	for _, probe := range []struct{ Path, Port string }{c.LivenessProbe.HTTPGet, c.ReadinessProbe.HTTPGet, {"/metrics", port.Name}} {
		if probe.Port != port.Name {
			t.Errorf("%s: port %q, want %s", probe.Path, probe.Port, port.Name)
		}
		peer.Await(t, "200 for "+probe.Path, func() bool {
			r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port.ContainerPort, probe.Path))
			return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
		}, p)
	}
}
