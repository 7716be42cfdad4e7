package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/pingtel/pingtel/integration/peer"
)

// servers is a cluster of NATS servers.
type servers struct {
	t       *testing.T
	dir     string
	sites   []*site         // where each of them runs
	running []*peer.Process // nil for one that is killed
}

// startServers starts a cluster of n servers on loopback, or a single one.
func startServers(t *testing.T, n int) *servers {
	return startServersAt(t, slices.Repeat([]*site{{addr: "127.0.0.1"}}, n)...)
}

// startServersAt starts a server at each site.
func startServersAt(t *testing.T, sites ...*site) *servers {
	s := &servers{t: t, dir: t.TempDir(), sites: sites, running: make([]*peer.Process, len(sites))}
	for i := range sites {
		s.start(i)
	}
	s.await()
	return s
}

// start starts a server with what it had stored.
func (s *servers) start(i int) {
	s.t.Helper()
	name := fmt.Sprintf("n%d", i)
	conf := fmt.Sprintf("server_name: %s\nlisten: \"%s:%d\"\njetstream { store_dir: %q }\n", name, s.sites[i].addr, 4222+i, filepath.Join(s.dir, name))
	if n := len(s.running); n > 1 {
		var routes []string
		for j := range n {
			routes = append(routes, fmt.Sprintf("nats://%s:%d", s.sites[j].addr, 6222+j))
		}
		conf += fmt.Sprintf("cluster { name: fleet, listen: \"%s:%d\", routes: [%s] }\n", s.sites[i].addr, 6222+i, strings.Join(routes, ", "))
	}
	file := filepath.Join(s.dir, name+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.running[i] = peer.Start(s.t, s.sites[i].command(peer.NATS(s.t), "-c", file))
}

// kill kills a server with SIGKILL.
func (s *servers) kill(i int) {
	s.running[i].Kill()
	s.running[i] = nil
}

// forget removes all that the servers have stored.
func (s *servers) forget() {
	s.t.Helper()
	for i := range s.running {
		if err := os.RemoveAll(filepath.Join(s.dir, fmt.Sprintf("n%d", i))); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *servers) urls() string {
	var urls []string
	for i := range s.running {
		urls = append(urls, fmt.Sprintf("nats://%s:%d", s.sites[i].addr, 4222+i))
	}
	return strings.Join(urls, ",")
}

// await waits until JetStream works.
func (s *servers) await() {
	s.t.Helper()
	peer.Await(s.t, "JetStream works", func() bool {
		return s.ask(func(js nats.JetStreamContext) error { _, err := js.AccountInfo(); return err }) == nil
	})
}

func (s *servers) ask(f func(nats.JetStreamContext) error) error {
	conn, err := nats.Connect(s.urls(), nats.Timeout(time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := conn.JetStream(nats.MaxWait(time.Second))
	if err != nil {
		return err
	}
	return f(js)
}

// leader returns the number of the server that leads the bucket.
func (s *servers) leader() int {
	s.t.Helper()
	leader := -1
	peer.Await(s.t, "the bucket has a leader", func() bool {
		err := s.ask(func(js nats.JetStreamContext) error {
			info, err := js.StreamInfo("KV_pingtel")
			if err != nil {
				return err
			}
			if info.Cluster == nil || info.Config.Replicas != 3 {
				s.t.Fatalf("the bucket has %d replicas", info.Config.Replicas)
			}
			_, err = fmt.Sscanf(info.Cluster.Leader, "n%d", &leader)
			return err
		})
		return err == nil && leader >= 0
	})
	return leader
}
