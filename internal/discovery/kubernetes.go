package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// pageNodes is how many nodes are in a page of the API's answer.
const pageNodes = 500

// nodesLooker reads the nodes of a cluster from the API of Kubernetes, as the
// ServiceAccount of the pod.
type nodesLooker struct {
	client   *client
	selector string
	getenv   func(string) string
	account  string
	time     time.Duration // for a look
}

func (n *nodesLooker) close() { n.client.close() }

// errExpired means that a list has changed so much that its next page is gone.
var errExpired = errors.New("the next page has expired")

func (n *nodesLooker) look(ctx context.Context, l *look) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, n.time)
	defer cancel()
	host, port := n.getenv("KUBERNETES_SERVICE_HOST"), n.getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return 0, errors.New("this is not a pod: want KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and a token under " + n.account)
	}
	u := &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port), Path: "/api/v1/nodes"}
	var nodes []*node
	for try := 0; ; try++ {
		var err error
		nodes, err = n.list(ctx, u, l.src.Most())
		if errors.Is(err, errExpired) && try < 2 {
			continue // from the first page
		}
		if err != nil {
			return 0, timely(ctx, n.time, err)
		}
		break
	}
	l.take("", func(b *builder) (any, error) {
		for _, node := range nodes {
			if err := node.add(b); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return 0, nil
}

// list returns all nodes, page by page.
func (n *nodesLooker) list(ctx context.Context, u *url.URL, most int) ([]*node, error) {
	var nodes []*node
	left := maxAnswer
	for next := ""; ; {
		page, read, err := n.page(ctx, u, next, left)
		var large *tooLargeError
		if errors.As(err, &large) {
			err = &tooLargeError{maxAnswer} // all pages together
		}
		if err != nil {
			return nil, err
		}
		left -= read
		if nodes = append(nodes, page.Items...); len(nodes) > most {
			return nil, fmt.Errorf("there are more nodes than agent.max_targets, %d", most)
		}
		switch {
		case page.Metadata.Continue == "":
			return nodes, nil
		case page.Metadata.Continue == next || len(page.Items) == 0:
			return nil, errors.New("the API gives a page without an end")
		}
		next = page.Metadata.Continue
	}
}

// nodeList is a page of the API's answer, as far as it matters.
type nodeList struct {
	Kind     string
	Metadata struct{ Continue string }
	Items    []*node
}

// node is one node.
type node struct {
	Metadata struct {
		Name        string
		Labels      map[string]string
		Annotations map[string]string
	}
	Spec   struct{ ProviderID string }
	Status struct {
		Addresses []struct{ Type, Address string }
	}
}

// page returns a page of nodes, and how many bytes it has.
func (n *nodesLooker) page(ctx context.Context, u *url.URL, next string, limit int) (*nodeList, int, error) {
	q := url.Values{"limit": {strconv.Itoa(pageNodes)}}
	if n.selector != "" {
		q.Set("labelSelector", n.selector)
	}
	if next != "" {
		q.Set("continue", next)
	}
	at := *u
	at.RawQuery = q.Encode()
	r, err := n.client.get(ctx, &at, http.Header{})
	if err != nil {
		return nil, 0, err
	}
	defer r.Body.Close() // it was only read
	switch {
	case r.StatusCode == http.StatusGone && next != "":
		return nil, 0, errExpired
	case r.StatusCode == http.StatusForbidden:
		return nil, 0, errors.New("the API answers " + r.Status + ": want a ServiceAccount whose role may list nodes")
	case r.StatusCode != http.StatusOK:
		return nil, 0, statusError(r)
	}
	in, err := body(r, limit)
	if err != nil {
		return nil, 0, err
	}
	count := &counter{r: in}
	page, err := decodePage(count)
	return page, count.n, err
}

// decodePage decodes a page of the API's answer.
func decodePage(r io.Reader) (*nodeList, error) {
	var page nodeList
	if err := json.NewDecoder(r).Decode(&page); err != nil {
		return nil, cut(err)
	}
	if page.Kind != "NodeList" {
		return nil, fmt.Errorf("the API answers with %q: want a NodeList", shortened(page.Kind))
	}
	return &page, nil
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// addressTypes are the kinds of addresses of a node, the best first.
var addressTypes = []string{"InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "Hostname"}

// add adds the target of a node.
func (n *node) add(b *builder) error {
	if n == nil {
		return errNull
	}
	labels := map[string]string{"__meta_kubernetes_node_name": n.Metadata.Name}
	if n.Spec.ProviderID != "" {
		labels["__meta_kubernetes_node_provider_id"] = n.Spec.ProviderID
	}
	for k, v := range n.Metadata.Labels {
		labels["__meta_kubernetes_node_label_"+labelName(k)] = v
		labels["__meta_kubernetes_node_labelpresent_"+labelName(k)] = "true"
	}
	for k, v := range n.Metadata.Annotations {
		labels["__meta_kubernetes_node_annotation_"+labelName(k)] = v
		labels["__meta_kubernetes_node_annotationpresent_"+labelName(k)] = "true"
	}
	first := make(map[string]string) // address of each type
	for _, a := range n.Status.Addresses {
		if first[a.Type] == "" {
			first[a.Type] = a.Address
			labels["__meta_kubernetes_node_address_"+labelName(a.Type)] = a.Address
		}
	}
	for _, kind := range addressTypes {
		if first[kind] != "" {
			g := &group{Targets: []string{first[kind]}, Labels: labels}
			return b.addGroup(g, func(int) string { return "node " + n.Metadata.Name })
		}
	}
	b.refuse("node "+n.Metadata.Name, errors.New("has no address"))
	return nil
}

// labelName makes the name of a label of a key, as Prometheus does.
func labelName(key string) string {
	name := []byte(key)
	for i, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			name[i] = '_'
		}
	}
	return string(name)
}
