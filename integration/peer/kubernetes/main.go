// Kubernetes_types builds folders with kustomize, as kubectl apply -k does, and decodes
// what comes out into Kubernetes' own types. An unknown or repeated key, or a value of
// a wrong type, is an error. It prints a JSON array of the objects.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] == "--help" {
		fmt.Fprintln(os.Stderr, "usage: kubernetes_types FOLDER...")
		os.Exit(2)
	}
	var all []any
	for _, dir := range os.Args[1:] {
		objects, err := build(dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", dir, err)
			os.Exit(1)
		}
		all = append(all, objects...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// build returns the objects of a folder.
func build(dir string) ([]any, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	var objects []any
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		object, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// kinds are the types that the manifests use.
var kinds = map[metav1.TypeMeta]func() any{
	{APIVersion: "apps/v1", Kind: "Deployment"}: func() any { return new(appsv1.Deployment) },
	{APIVersion: "apps/v1", Kind: "DaemonSet"}:  func() any { return new(appsv1.DaemonSet) },
	{APIVersion: "v1", Kind: "ConfigMap"}:       func() any { return new(corev1.ConfigMap) },
}

// decode decodes a document.
func decode(text []byte) (any, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	make, ok := kinds[kind]
	if !ok {
		return nil, errors.New("a kind that is not in the list of kinds here")
	}
	object := make()
	return object, yaml.UnmarshalStrict(text, object)
}
