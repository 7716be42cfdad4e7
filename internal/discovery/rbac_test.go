package discovery

import (
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestRBAC reads the file that gives the ServiceAccount its right: to list nodes, which is
// all that the source asks for, and nothing else.
func TestRBAC(t *testing.T) {
	f, err := os.Open("../../integration/targets/nodes-rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct{ Name, Namespace string }
		Rules      []struct {
			APIGroups        []string `yaml:"apiGroups"`
			Resources, Verbs []string
		}
		RoleRef struct {
			APIGroup   string `yaml:"apiGroup"`
			Kind, Name string
		} `yaml:"roleRef"`
		Subjects []struct{ Kind, Name, Namespace string }
	}
	found := make(map[string]object)
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	for range 3 {
		var o object
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		found[o.Kind] = o
	}
	account, role, binding := found["ServiceAccount"], found["ClusterRole"], found["ClusterRoleBinding"]
	if len(role.Rules) != 1 || !slices.Equal(role.Rules[0].APIGroups, []string{""}) || !slices.Equal(role.Rules[0].Resources, []string{"nodes"}) ||
		!slices.Equal(role.Rules[0].Verbs, []string{"list"}) {
		t.Errorf("the role has %+v", role.Rules)
	}
	if r := binding.RoleRef; r.Kind != "ClusterRole" || r.Name != role.Metadata.Name || role.Metadata.Name == "" || r.APIGroup+"/v1" != role.APIVersion {
		t.Errorf("the binding is to %+v", r)
	}
	if s := binding.Subjects; len(s) != 1 || s[0].Kind != "ServiceAccount" || s[0].Name != account.Metadata.Name || s[0].Namespace != account.Metadata.Namespace {
		t.Errorf("the binding is of %+v", s)
	}
}
