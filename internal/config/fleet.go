package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ProberTag is the tag that says which prober of a fleet has measured a point.
const ProberTag = "prober"

// Bounds of the [fleet] table.
const (
	MaxMembers = 1000 // probers in a fleet
	MaxName    = 253  // bytes of a member's name, as of a host's
	maxCopies  = 16
)

// Fleet is the [fleet] table.
type Fleet struct {
	On     bool   // the table has member, members or shard: points have the tag of this prober
	Member string // name of this prober
	Zone   string // of this prober
	Copies int    // probers that measure each target

	// Shards is the number of probers if the file divides the targets among a fixed
	// number of them, else 0. Shard is the number of this one, from 0.
	Shard, Shards int

	Members *Members // how the probers know each other, nil where they need not
}

// Members says where it is known who the members of a fleet are. Nobody changes it.
type Members struct {
	NATS    string        // URLs of the servers, separated by commas
	Bucket  string        // the key-value bucket
	Source  *Source       // a list that somebody keeps; nil with NATS
	Refresh time.Duration // a member that is silent for twice as long is dropped

	CredsFile, CAFile, CertFile, KeyFile string // of NATS; "" for none
}

// Defaults of the members.
const (
	DefaultBucket  = "pingtel"
	defaultRefresh = 10 * time.Second
)

// readMembers reads the table members of [fleet].
func (r *reader) readMembers(t *table) *Members {
	if t.values == nil {
		return nil
	}
	m := &Members{Bucket: DefaultBucket, Refresh: defaultRefresh}
	read(t, "refresh", r.duration(time.Second, time.Hour), &m.Refresh)
	if _, ok := t.value("nats"); ok {
		r.readNATS(t, m)
	} else if m.Source = r.readSource(t); m.Source != nil {
		m.Source.Line, m.Source.most, m.Source.hosts, m.Source.Refresh = r.lines.of(t.path), MaxMembers, MaxMembers, m.Refresh
	}
	switch {
	case m.NATS == "" && m.Source == nil && t.values["nats"] == nil && !slices.ContainsFunc(sourceKinds, func(k SourceKind) bool { return t.values[string(k)] != nil }):
		t.fault("nats", "is missing: want one of nats, file, http and dns, to know the other probers by")
	case m.Source != nil && m.Source.Kind == SourceKubernetes:
		t.fault("kubernetes", "are no probers: want dns with the name of a headless Service")
	}
	t.refuseUnknown()
	return m
}

// readNATS reads the keys of members that go with NATS.
func (r *reader) readNATS(t *table, m *Members) {
	read(t, "nats", r.natsURLs, &m.NATS)
	read(t, "bucket", r.bucket, &m.Bucket)
	read(t, "creds_file", r.text, &m.CredsFile)
	read(t, "ca_file", r.text, &m.CAFile)
	read(t, "cert_file", r.text, &m.CertFile)
	read(t, "key_file", r.text, &m.KeyFile)
	if (m.CertFile == "") != (m.KeyFile == "") {
		t.fault("cert_file", "goes with key_file: want both or none")
	}
}

// natsURLs converts the URLs of NATS servers. No message shows them, since they may
// have a password.
func (r *reader) natsURLs(v any) (string, error) {
	s, err := r.text(v)
	if err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", errors.New("want nats://host:4222 or tls://host:4222, several separated by commas (the value is not shown: it may have a password)")
		}
	}
	return s, nil
}

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// bucket converts the name of a bucket.
func (r *reader) bucket(v any) (string, error) {
	s, err := r.text(v)
	if err == nil && !bucketName.MatchString(s) {
		err = fmt.Errorf("%q: want letters, digits, - and _", s)
	}
	return s, err
}

// Place says where the members are known, without passwords.
func (m *Members) Place() string {
	if m.Source != nil {
		return m.Source.Name()
	}
	var places []string
	for part := range strings.SplitSeq(m.NATS, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			continue // readMembers has refused it
		}
		places = append(places, u.Scheme+"://"+u.Host)
	}
	return strings.Join(places, ",")
}

// readFleet reads the [fleet] table.
func (r *reader) readFleet(t *table, f *Fleet) {
	*f = Fleet{Copies: 1}
	for _, key := range []string{"member", "shard", "members"} {
		if _, ok := t.values[key]; ok {
			f.On = true
		}
	}
	if read(t, "member", r.memberName, &f.Member); f.On && f.Member == "" {
		name, err := os.Hostname()
		if err == nil {
			err = CheckMember(name)
		}
		if err != nil {
			t.fault("member", "is missing, and the name of this machine cannot replace it (%v): want a name for this prober", err)
		}
		f.Member = name
	}
	read(t, "zone", r.zoneName, &f.Zone)
	read(t, "copies", integer(1, maxCopies), &f.Copies)
	var s shard
	if read(t, "shard", r.shard, &s) {
		f.Shard, f.Shards = s.number, s.of
	}
	f.Members = r.readMembers(t.table("members"))
	switch {
	case f.Shards > 0 && f.Members != nil:
		t.fault("shard", "is beside members: want one of the two, a fixed part of the targets or one that depends on who is there")
	case f.Shards == 0 && f.Members == nil && f.Copies > 1:
		t.fault("copies", "%d copies of all targets: want shard or members too, which divide them", f.Copies)
	case f.Shards > 0 && f.Zone != "":
		t.fault("zone", "the zones of the other shards are unknown: want no zone")
	}
	t.refuseUnknown()
	if f.On {
		r.prober = f.Member
	}
}

// CheckMember returns what is wrong with the name of a member or of a zone.
func CheckMember(name string) error {
	switch {
	case name == "":
		return errors.New("an empty name")
	case len(name) > MaxName:
		return fmt.Errorf("a name of %d bytes: want at most %d", len(name), MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return fmt.Errorf("%q: want a name without spaces and control characters", name)
	}
	return nil
}

// memberName converts the name of a prober. Empty stands for the machine's name.
func (r *reader) memberName(v any) (string, error) {
	s, err := r.text(v)
	if err == nil && s != "" {
		err = CheckMember(s)
	}
	if err == nil && strings.HasPrefix(s, "__") {
		err = fmt.Errorf("%q: want a name that does not begin with __, as the names of labels do", s)
	}
	return s, err
}

// zoneName converts the name of a zone, which may be empty.
func (r *reader) zoneName(v any) (string, error) { return r.memberName(v) }

// shard is a part of the targets: number, from 0, of so many.
type shard struct{ number, of int }

// shardText matches a shard: a number, or a name that ends with one as those of the
// pods of a StatefulSet do, and the number of shards.
var shardText = regexp.MustCompile(`^(?:.*-)?([0-9]{1,6})/([0-9]{1,6})$`)

// shard converts a shard, "2/5" or "pingtel-2/5".
func (r *reader) shard(v any) (shard, error) {
	text, err := r.text(v)
	if err != nil {
		return shard{}, err
	}
	m := shardText.FindStringSubmatch(text)
	if m == nil {
		return shard{}, fmt.Errorf("%q: want the number of this shard and how many there are, \"0/5\" to \"4/5\", or \"${HOSTNAME}/5\" in a StatefulSet", text)
	}
	number, err := strconv.Atoi(m[1])
	if err != nil {
		return shard{}, err
	}
	of, err := strconv.Atoi(m[2])
	switch {
	case err != nil:
		return shard{}, err
	case of < 1 || of > MaxMembers:
		return shard{}, fmt.Errorf("%q: want 1 to %d shards", text, MaxMembers)
	case number >= of:
		return shard{}, fmt.Errorf("%q: want 0/%d to %d/%d, since shards are counted from 0 like the pods of a StatefulSet", text, of, of-1, of)
	}
	return shard{number, of}, nil
}

// tagProber adds the tag that names this prober to the tags of all targets.
func (r *reader) tagProber(p *probe) {
	if r.prober == "" {
		return
	}
	tags := maps.Clone(p.tags)
	if tags == nil {
		tags = make(map[string]string, 1)
	}
	tags[ProberTag] = r.prober
	p.tags = tags
}

// part returns which part of all targets this prober measures, from 0 to 1. It is 0
// where that depends on who is there, which a running process looks at.
func (f *Fleet) part() float64 {
	switch {
	case f.Members != nil:
		return 0
	case f.Shards == 0:
		return 1
	}
	return min(1, float64(f.Copies)/float64(f.Shards))
}

// among says in a message that the targets are divided, and among how many probers.
func (f *Fleet) among() string {
	if f.Shards == 0 {
		return ""
	}
	return fmt.Sprintf(" in %d shards", f.Shards)
}

// describe says in a few words who measures what.
func (f *Fleet) describe() string {
	switch {
	case f.Members != nil:
		copies := fmt.Sprintf("%d probers measure each target", f.Copies)
		if f.Copies == 1 {
			copies = "one prober measures each target"
		}
		return fmt.Sprintf("%s is a member by %s; %s", f.Member, f.Members.Place(), copies)
	case f.Shards == 0:
		return fmt.Sprintf("%s measures all targets", f.Member)
	case f.Copies >= f.Shards:
		return fmt.Sprintf("%s is shard %d of %d and measures all targets, since copies is %d", f.Member, f.Shard, f.Shards, f.Copies)
	}
	return fmt.Sprintf("%s is shard %d of %d and measures about %s %% of the targets", f.Member, f.Shard, f.Shards, plain(f.part()*100))
}

// restart returns the keys of the table that changed and take a restart.
func (f *Fleet) restart(next *Fleet) []string {
	var keys []string
	if f.On != next.On {
		keys = append(keys, "fleet.member (from or to none)")
	}
	if f.On && next.On && f.Member != next.Member {
		keys = append(keys, fmt.Sprintf("fleet.member (%s to %s)", f.Member, next.Member))
	}
	if f.Zone != next.Zone {
		keys = append(keys, fmt.Sprintf("fleet.zone (%q to %q)", f.Zone, next.Zone))
	}
	if (f.Members == nil) != (next.Members == nil) || f.Members != nil && !f.Members.same(next.Members) {
		keys = append(keys, "fleet.members")
	}
	return keys
}

// same reports whether m and o say the same.
func (m *Members) same(o *Members) bool {
	a, b := *m, *o
	a.Source, b.Source = nil, nil
	return a == b && (m.Source == nil) == (o.Source == nil) && (m.Source == nil || m.Source.Same(o.Source))
}
