package page_test

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var smokeping = flag.Duration("smokeping", 0, "how long to run SmokePing beside pingtel")

// sights are the hosts that SmokePing and pingtel look at. change says how a host is at a
// part of the time, from 0 to 1.
var sights = []struct {
	name, host string
	change     func(r *netsim.Rule, part float64)
}{
	{"quiet", "198.18.1.1", func(r *netsim.Rule, _ float64) { r.Delay, r.Jitter = 5*time.Millisecond, time.Millisecond/2 }},
	{"rising", "198.18.1.2", func(r *netsim.Rule, part float64) {
		r.Delay, r.Jitter = 10*time.Millisecond+time.Duration(part*50e6), time.Millisecond+time.Duration(part*40e6)
	}},
	{"loss-5", "198.18.1.3", func(r *netsim.Rule, _ float64) {
		r.Delay, r.Jitter, r.Loss = 12*time.Millisecond, 3*time.Millisecond, .05
	}},
	{"loss-30", "198.18.1.4", func(r *netsim.Rule, _ float64) {
		r.Delay, r.Jitter, r.Loss = 12*time.Millisecond, 3*time.Millisecond, .3
	}},
	{"outage", "198.18.1.5", func(r *netsim.Rule, part float64) { // ten minutes of an hour
		r.Delay, r.Jitter = 8*time.Millisecond, 2*time.Millisecond
		if part >= .4 && part < .4+1./6 {
			r.Answer = netsim.Lost
		}
	}},
	{"path", "198.18.1.6", func(r *netsim.Rule, part float64) {
		r.Delay, r.Jitter, r.Hops = 12*time.Millisecond, 2*time.Millisecond, routers(3)
		if part >= .5 {
			r.Delay, r.Hops = 28*time.Millisecond, routers(6)
		}
	}},
	{"doubles-late", "198.18.1.7", func(r *netsim.Rule, part float64) {
		r.Delay, r.Jitter = 10*time.Millisecond, 2*time.Millisecond
		switch {
		case part >= .2 && part < .45:
			r.Answer = netsim.Every(3, netsim.Packets(netsim.Packet{}, netsim.Packet{After: time.Millisecond}))
		case part >= .6 && part < .85:
			r.Answer = netsim.Every(5, netsim.Packets(netsim.Packet{After: 1500 * time.Millisecond}))
		}
	}},
	{"short-outages", "198.18.1.8", func(r *netsim.Rule, _ float64) { // 15 seconds of each three minutes, at any second of SmokePing's minute
		r.Delay, r.Jitter = 8*time.Millisecond, 2*time.Millisecond
		if time.Now().Unix()%170 < 15 {
			r.Answer = netsim.Lost
		}
	}},
	{"no-such-name", "nowhere.test", nil},
}

func routers(n int) []netsim.Hop {
	hops := make([]netsim.Hop, n)
	for i := range hops {
		hops[i].Addr = netip.AddrFrom4([4]byte{198, 18, 200 + byte(n), byte(i + 1)})
	}
	return hops
}

func at(part float64) (rules []netsim.Rule) {
	for _, s := range sights {
		if s.change == nil {
			continue
		}
		r := netsim.Rule{Prefix: netip.MustParsePrefix(s.host + "/32")}
		s.change(&r, part)
		rules = append(rules, r)
	}
	return rules
}

// smokeConfig is SmokePing's configuration: its usual 20 echoes, each minute rather than
// each five minutes.
const smokeConfig = `*** General ***
owner = test
contact = test@localhost.invalid
mailhost = localhost
cgiurl = http://localhost/smokeping.cgi
imgcache = DIR/img
imgurl = img
datadir = DIR/rrd
piddir = DIR/pid
dyndir = DIR/dyn
smokemail = /etc/smokeping/smokemail
tmail = /etc/smokeping/tmail
offset = 0%
*** Database ***
step = 60
pings = 20
AVERAGE 0.5 1 1440
AVERAGE 0.5 12 4320
MIN 0.5 12 4320
MAX 0.5 12 4320
*** Presentation ***
template = /etc/smokeping/basepage.html
charset = utf-8
graphborders = no
+ overview
width = 600
height = 50
range = RANGE
+ detail
width = 600
height = 200
unison_tolerance = 2
"Last RANGE" RANGE
*** Probes ***
+ FPing
binary = /usr/bin/fping
*** Targets ***
probe = FPing
menu = Top
title = Hosts
+ Net
menu = Net
title = Net
`

const pingtelBeside = `[agent]
interval = "10s"
state = "DIR/state"
[defaults]
count = 4
[web]
listen = "LISTEN"
`

// TestSmokePing runs SmokePing and pingtel beside each other on the same hosts, and
// keeps the graphs of both, their data and screenshots in the folder that -pictures
// names: go test ./integration/page -run TestSmokePing -smokeping 1h -pictures /tmp/beside -timeout 90m
func TestSmokePing(t *testing.T) {
	if *smokeping == 0 || *pictures == "" {
		t.Skip("a comparison of an hour: run it with -smokeping 1h -pictures FOLDER -timeout 90m, and Debian's package smokeping")
	}
	netsim.Run(t, at(0), func(t *testing.T, n *netsim.Net) {
		dir, err := filepath.Abs(*pictures)
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range []string{"img", "rrd", "pid", "dyn", "state"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		dns.Serve(t, func(string, bool) dns.Reply { return dns.Reply{Code: dnsmessage.RCodeNameError} })
		asking := dns.Asking(t, "timeout:2 attempts:1")
		conf := filepath.Join(dir, "smokeping.conf")
		var text, ours strings.Builder
		text.WriteString(strings.NewReplacer("DIR", dir, "RANGE", fmt.Sprintf("%dm", int(smokeping.Minutes()))).Replace(smokeConfig))
		ours.WriteString(strings.ReplaceAll(pingtelBeside, "DIR", dir))
		for _, s := range sights {
			fmt.Fprintf(&text, "++ %s\nmenu = %s\ntitle = %s\nhost = %s\n", s.name, s.name, s.name, s.host)
			fmt.Fprintf(&ours, "[[targets]]\nhosts = [%q]\ntags = { name = %q }\n", s.host, s.name)
		}
		if err := os.WriteFile(conf, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		url, p := serve(t, ours.String(), asking)
		theirs := peer.Start(t, asking("smokeping", "--config="+conf, "--nodaemon"))
		start := time.Now()
		end := start.Add(*smokeping + 20*time.Second) // SmokePing writes a round at its end
		for time.Now().Before(end) && t.Context().Err() == nil {
			n.Replace(at(min(1, float64(time.Since(start))/float64(*smokeping)))...)
			pause(t.Context(), time.Second)
			if theirs.Ended() || p.Ended() {
				t.Fatalf("ended: smokeping %v: %s\npingtel %v: %s", theirs.Ended(), theirs.Text(), p.Ended(), p.Text())
			}
		}
		theirs.Kill() // what it measures from here on is not of the comparison
		t.Logf("SmokePing printed %s", theirs.Text())
		b := startBrowser(t)
		for _, s := range sights {
			cgi := asking("/usr/share/smokeping/smokeping.cgi", conf)
			cgi.Env = append(os.Environ(), "REQUEST_METHOD=GET", "GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=test", "SERVER_NAME=localhost", "SERVER_PORT=80",
				"SCRIPT_NAME=/smokeping.cgi", "QUERY_STRING=target=Net."+s.name)
			if _, err := peer.Output(cgi); err != nil {
				t.Error(err)
			}
			made := filepath.Join(dir, "img", "Net", fmt.Sprintf("%s_last_%d.png", s.name, int(smokeping.Seconds())))
			data, err := os.ReadFile(made)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "smokeping-"+s.name+".png"), data, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
		}
		compared(t, b, url, fmt.Sprintf("from=%d&to=%d", start.Unix(), start.Add(*smokeping).Unix()))
	})
}

// compared keeps pingtel's pictures of the same time.
func compared(t *testing.T, b *browser, url, window string) {
	t.Helper()
	var all struct {
		Targets []struct {
			Key  string
			Tags map[string]string
		}
	}
	get(t, url+"/api/targets", &all)
	for _, x := range all.Targets {
		name := x.Tags["name"]
		save(t, "pingtel-"+name+".png", url+"/graph/"+x.Key+".png?width=697&height=297&"+window)
		save(t, "pingtel-"+name+".json", url+"/api/history/"+x.Key+"?"+window)
		b.size(1000, 700)
		b.open(url + "/t/" + x.Key + "?" + window)
		b.picture("browser-"+name, true)
	}
	b.open(url + "/")
	b.picture("browser-targets", true)
	save(t, "pingtel-targets.json", url+"/api/targets")
}

// pause waits, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
