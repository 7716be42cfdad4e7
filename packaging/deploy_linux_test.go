package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/fleet"
)

// workload is what the manifests use of a Deployment or a DaemonSet, by the
// names that Kubernetes gives it: any other key is a fault.
type workload struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		Replicas            int
		Strategy            struct{ Type string }
		ServiceName         string `yaml:"serviceName"`         // of a StatefulSet
		PodManagementPolicy string `yaml:"podManagementPolicy"` // of the same
		Selector            struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template template
	}
}

type template struct {
	Metadata metadata
	Spec     pod
}

type metadata struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
}

type pod struct {
	AutomountServiceAccountToken *bool  `yaml:"automountServiceAccountToken"`
	HostNetwork                  bool   `yaml:"hostNetwork"`
	DNSPolicy                    string `yaml:"dnsPolicy"`
	SecurityContext              struct {
		security       `yaml:",inline"`
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		Sysctls        []struct{ Name, Value string }
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type security struct {
	RunAsUser  *int `yaml:"runAsUser"`
	RunAsGroup *int `yaml:"runAsGroup"`
}

type container struct {
	Name  string
	Image string
	Args  []string
	Env   []struct {
		Name      string
		ValueFrom struct {
			FieldRef struct {
				FieldPath string `yaml:"fieldPath"`
			} `yaml:"fieldRef"`
			SecretKeyRef struct {
				Name, Key string
				Optional  bool
			} `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	SecurityContext struct {
		security                 `yaml:",inline"`
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop, Add []string }
	} `yaml:"securityContext"`
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Resources      struct{ Requests, Limits map[string]string }
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

// probe is how the kubelet asks a container.
type probe struct {
	HTTPGet        struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds  int                         `yaml:"periodSeconds"`
	TimeoutSeconds int                         `yaml:"timeoutSeconds"`
}

// kustomization is what kubectl apply -k reads of a folder.
type kustomization struct {
	APIVersion         string `yaml:"apiVersion"`
	Kind               string
	Resources          []string
	ConfigMapGenerator []struct {
		Name  string
		Files []string
	} `yaml:"configMapGenerator"`
}

// TestManifests holds the Kubernetes manifests against what they name: files,
// the command's flags, its configuration, and the image that is built here.
func TestManifests(t *testing.T) {
	bin := build(t, "..")
	image := readDockerfile(t)
	for _, dir := range []string{"../deploy/kubernetes", "../deploy/kubernetes/raw", "../deploy/kubernetes/fleet"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			k := decode[kustomization](t, filepath.Join(dir, "kustomization.yaml"))
			if len(k.Resources) == 0 || len(k.ConfigMapGenerator) != 1 {
				t.Fatalf("%d resources and %d maps, want the pods first and one map", len(k.Resources), len(k.ConfigMapGenerator))
			}
			used := append([]string{"kustomization.yaml"}, k.Resources...)
			used = append(used, k.ConfigMapGenerator[0].Files...)
			slices.Sort(used)
			if d := cmp.Diff(files(t, dir), used); d != "" {
				t.Errorf("files that kustomization.yaml uses (+), and those of the folder (-):\n%s", d)
			}
			w := decode[workload](t, filepath.Join(dir, k.Resources[0]))
			checkLabels(t, w)
			c := w.Spec.Template.Spec.Containers[0]
			if got := w.Spec.Template.Spec.Volumes[0].ConfigMap.Name; got != k.ConfigMapGenerator[0].Name {
				t.Errorf("volume of the map %q, want %q", got, k.ConfigMapGenerator[0].Name)
			}
			if d := cmp.Diff(image.command, c.Args); d != "" {
				t.Errorf("arguments (-those of the image +those of the manifest):\n%s", d)
			}
			output(t, ".", bin, append(c.Args, "--help")...) // fails on a flag that is not there
			file := k.ConfigMapGenerator[0].Files[0]
			if mounted := path.Join(c.VolumeMounts[0].MountPath, file); !slices.Contains(c.Args, mounted) {
				t.Errorf("arguments %q do not name %s, where the configuration is", c.Args, mounted)
			}
			checkUser(t, w.Spec.Template.Spec, image.user)
			checkConfig(t, filepath.Join(dir, file), c)
			checkProbes(t, filepath.Join(dir, file), w.Spec.Template)
		})
	}
}

func checkLabels(t *testing.T, w workload) {
	t.Helper()
	if w.APIVersion != "apps/v1" || !slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet"}, w.Kind) {
		t.Errorf("%s %s, want a Deployment, DaemonSet or StatefulSet of apps/v1", w.APIVersion, w.Kind)
	}
	if d := cmp.Diff(w.Spec.Selector.MatchLabels, w.Spec.Template.Metadata.Labels); d != "" {
		t.Errorf("the selector (-) does not match the pod's labels (+):\n%s", d)
	}
	p := w.Spec.Template.Spec
	if len(p.Containers) != 1 || len(p.Volumes) != 1 || len(p.Containers[0].VolumeMounts) != 1 || p.Volumes[0].Name != p.Containers[0].VolumeMounts[0].Name {
		t.Fatal("want one container that mounts the one volume")
	}
}

// checkUser looks at the right to a socket: the sysctl for the image's own
// user, or the one capability for user 0.
func checkUser(t *testing.T, p pod, user string) {
	t.Helper()
	if p.HostNetwork {
		c := p.Containers[0].SecurityContext
		if c.RunAsUser == nil || *c.RunAsUser != 0 || !slices.Equal(c.Capabilities.Add, []string{"NET_RAW"}) || len(p.SecurityContext.Sysctls) > 0 {
			t.Errorf("%+v, sysctls %v: want user 0 with NET_RAW, and no sysctl with hostNetwork", c, p.SecurityContext.Sysctls)
		}
		return
	}
	s := p.SecurityContext
	if s.RunAsUser == nil || s.RunAsGroup == nil || fmt.Sprintf("%d:%d", *s.RunAsUser, *s.RunAsGroup) != user {
		t.Errorf("the pod's user is not that of the image, %s", user)
	}
	want := strings.ReplaceAll(user, ":", " ")
	if len(s.Sysctls) != 1 || s.Sysctls[0].Name != "net.ipv4.ping_group_range" || s.Sysctls[0].Value != want {
		t.Errorf("sysctls %v, want net.ipv4.ping_group_range %q", s.Sysctls, want)
	}
}

// variable is one that a configuration file names.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// checkConfig reads the file as the pod does, and once more with the lines
// that are left to be uncommented, and what the endpoint needs where the nodes
// have IPv6 addresses.
func checkConfig(t *testing.T, name string, c container) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	optional := regexp.MustCompile(`(?m)^# (\w+ = )`).ReplaceAllString(string(b), "$1")
	if optional == string(b) {
		t.Errorf("%s: no line to uncomment", name)
	}
	six := strings.ReplaceAll(optional, `"${HOST_IP}:`, `"[${HOST_IP}]:`)
	named := make(map[string]bool)
	for _, m := range variable.FindAllStringSubmatch(optional, -1) {
		named[m[1]] = true
	}
	for _, v := range c.Env {
		if !named[v.Name] {
			t.Errorf("%s does not use the variable %s", name, v.Name)
		}
	}
	for _, try := range []struct{ text, host string }{{string(b), "192.0.2.1"}, {optional, "192.0.2.1"}, {six, "2001:db8::1"}} {
		lookup := func(key string) (string, bool) {
			for _, v := range c.Env {
				switch {
				case v.Name != key:
				case v.ValueFrom.FieldRef.FieldPath == "status.hostIP":
					return try.host, true
				case v.ValueFrom.FieldRef.FieldPath == "metadata.name":
					return "pingtel-0", true
				case v.ValueFrom.SecretKeyRef.Key != "" && try.text != string(b): // it is optional
					return "secret", true
				}
			}
			return "", false
		}
		parsed, err := config.Parse(name, try.text, lookup)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parsed.OTel.Settings(10*time.Second, lookup)
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := net.SplitHostPort(config.DefaultOTelEndpointGRPC)
		if _, port, err := net.SplitHostPort(s.Endpoint); err != nil || port != want || !s.Insecure {
			t.Errorf("%s: endpoint %s, insecure %t: want a collector's usual port %s, which has no TLS", name, s.Endpoint, s.Insecure, want)
		}
	}
}

// service is what a headless Service has.
type service struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		ClusterIP                string `yaml:"clusterIP"`
		PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
		Selector                 map[string]string
		Ports                    []struct {
			Name string
			Port int
		}
	}
}

// TestStatefulSet: the pods of the StatefulSet have the names and parts that the file gives
// them, and measure each target once.
func TestStatefulSet(t *testing.T) {
	const dir = "../deploy/kubernetes/fleet/"
	w, s := decode[workload](t, dir+"statefulset.yaml"), decode[service](t, dir+"service.yaml")
	if w.Spec.Replicas < 2 || s.Kind != "Service" || s.APIVersion != "v1" || s.Spec.ClusterIP != "None" || w.Spec.ServiceName != s.Metadata.Name ||
		!maps.Equal(s.Spec.Selector, w.Spec.Template.Metadata.Labels) || s.Spec.Ports[0].Port != w.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort {
		t.Errorf("%+v does not fit the StatefulSet's %d pods and its Service %s", s, w.Spec.Replicas, w.Spec.ServiceName)
	}
	text, err := os.ReadFile(dir + "pingtel.toml")
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(text), `hosts = ["127.0.0.1"]`, `hosts = ["127.0.0.1-200"]`, 1)
	probers := make(map[string][]string) // by target
	for i := range w.Spec.Replicas {
		name := fmt.Sprintf("%s-%d", w.Metadata.Name, i)
		c, err := config.Parse("pingtel.toml", more, func(key string) (string, bool) { return name, key == "POD_NAME" })
		if err != nil {
			t.Fatal(err)
		}
		if c.Fleet.Shards != w.Spec.Replicas || c.Fleet.Shard != i || c.Fleet.Member != name {
			t.Errorf("%s: %+v, want part %d of %d", name, c.Fleet, i, w.Spec.Replicas)
		}
		mine, _ := fleet.New(c, slog.New(slog.DiscardHandler)).Take(c, time.Now())
		for _, target := range mine.Targets {
			probers[target.Host] = append(probers[target.Host], name)
		}
	}
	for host, names := range probers {
		if len(names) != 1 {
			t.Errorf("%s is measured by %v", host, names)
		}
	}
	if len(probers) != 200 {
		t.Errorf("%d of 200 targets are measured", len(probers))
	}
}

// checkProbes: the kubelet and Prometheus ask where the configuration has pingtel
// listen, and for what it has.
func checkProbes(t *testing.T, name string, w template) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := config.Parse(name, string(b), func(key string) (string, bool) {
		return map[string]string{"HOST_IP": "192.0.2.1", "POD_NAME": "pingtel-0"}[key], true
	})
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(parsed.Web.Listen)
	if want := map[bool]string{false: "", true: "192.0.2.1"}[w.Spec.HostNetwork]; err != nil || host != want { // the pod's address, which the kubelet asks
		t.Errorf("%s listens on %q, want the host %q", name, parsed.Web.Listen, want)
	}
	c := w.Spec.Containers[0]
	if len(c.Ports) != 1 || strconv.Itoa(c.Ports[0].ContainerPort) != port || w.Metadata.Annotations["prometheus.io/port"] != port {
		t.Errorf("ports %v, annotations %v, want the listener's %s", c.Ports, w.Metadata.Annotations, port)
	}
	if !parsed.OTel.Enabled || !parsed.Web.Metrics {
		t.Errorf("%s turns an output off", name)
	}
	for path, p := range map[string]probe{"/-/healthy": c.LivenessProbe, "/-/ready": c.ReadinessProbe} {
		if p.HTTPGet.Path != path || p.HTTPGet.Port != c.Ports[0].Name {
			t.Errorf("%+v, want %s", p, path)
		}
	}
}

// TestServiceConfig: the configuration with which the service and the container
// start turns an output on, and is the example otherwise.
func TestServiceConfig(t *testing.T) {
	example, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./service-config.sh")
	cmd.Stdin = bytes.NewReader(example)
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("pingtel.toml", string(got), func(string) (string, bool) { return "", false })
	if err != nil || c.Web.Listen != "127.0.0.1:9473" || !c.Web.Loopback() || c.Web.Probe.On() {
		t.Errorf("%v, listens on %q", err, c.Web.Listen)
	}
	if back := strings.Replace(string(got), `listen = "127.0.0.1:9473"`, `listen = ""`, 1); back != string(example) {
		t.Errorf("more than the listener differs:\n%s", cmp.Diff(string(example), back))
	}
}

// decode reads a file of one YAML document, strictly.
func decode[T any](t *testing.T, name string) T {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	var v, second T
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		t.Fatalf("%s: a second document: %v", name, err)
	}
	return v
}

// files returns the names of the files of a folder, sorted.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
