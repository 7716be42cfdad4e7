package fleet

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/pingtel/pingtel/internal/config"
)

// natsEngine knows the members by a key-value bucket of NATS JetStream, in which each
// has a key that it writes again all the time. What counts is that a write arrives,
// not what time anyone's clock has: a member is there as long as its key changes.
type natsEngine struct {
	fleet    *Fleet
	settings config.Members
	self     Member
	instance string // of this process: another one may have the same name by mistake
	every    time.Duration
	options  []nats.Option
	failures chan error // holds why the connection last failed, if that is news

	// Of the goroutine of run; after it, of leave.
	conn      *nats.Conn
	revisions map[string]uint64 // the newest of each key
	last      uint64            // revision of our last write
	odd       string            // the last thing that was wrong with a key
	why       error             // why there is no connection, as far as known
}

// card is the value of a member's key.
type card struct {
	Zone     string `json:"zone,omitempty"`
	Left     bool   `json:"left,omitempty"` // it has gone on purpose
	Instance string `json:"instance"`
}

const (
	maxCard = 4 << 10 // bytes of a value that is read

	// beats is how often a member writes its key in a refresh, and so the part of the
	// hold-down by which a write may be late.
	beats = 4

	// expiry is how long a key stays in a bucket of ours, in refreshes. It only clears
	// up: a member that is silent is dropped long before.
	expiry = 8
)

func newNATS(f *Fleet, c *config.Fleet) *natsEngine {
	e := &natsEngine{
		fleet: f, settings: *c.Members, self: Member{Name: c.Member, Zone: c.Zone}, instance: rand.Text(),
		every: c.Members.Refresh / beats, revisions: make(map[string]uint64), failures: make(chan error, 1),
	}
	e.options = []nats.Option{
		nats.Name("pingtel " + c.Member), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(min(e.every, 2*time.Second)), nats.ReconnectJitter(e.every/4, e.every/4), nats.ReconnectBufSize(-1),
		nats.Timeout(min(2*c.Members.Refresh, 5*time.Second)), nats.PingInterval(c.Members.Refresh), nats.MaxPingsOutstanding(2),
		nats.ReconnectErrHandler(e.failed), nats.DisconnectErrHandler(e.failed),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // what fails is noticed where it is used
	}
	for _, o := range []struct {
		file   string
		option func(string) nats.Option
	}{
		{c.Members.CredsFile, func(file string) nats.Option { return nats.UserCredentials(file) }},
		{c.Members.CAFile, func(file string) nats.Option { return nats.RootCAs(file) }},
		{c.Members.CertFile, func(file string) nats.Option { return nats.ClientCert(file, c.Members.KeyFile) }},
	} {
		if o.file != "" {
			e.options = append(e.options, o.option(o.file))
		}
	}
	return e
}

// run watches the bucket until ctx is done.
func (e *natsEngine) run(ctx context.Context) {
	for failures := 1; ; failures++ {
		began := time.Now()
		err := e.session(ctx)
		if ctx.Err() != nil {
			return
		}
		e.fleet.away(e.explain(err))
		if time.Since(began) > e.settings.Refresh {
			failures = 0
		}
		if failures%8 == 7 && e.conn != nil && e.conn.IsConnected() { // this server may be cut off from the others
			if err := e.conn.ForceReconnect(); err != nil {
				e.fleet.log.Debug("cannot change to another server of NATS", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(e.every):
		}
	}
}

// connect connects, unless there is a connection: that one reconnects by itself.
func (e *natsEngine) connect() error {
	if e.conn != nil && !e.conn.IsClosed() {
		return nil
	}
	conn, err := nats.Connect(e.settings.NATS, e.options...)
	e.conn = conn
	return err
}

// session writes the key and watches the others, until something fails.
func (e *natsEngine) session(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := e.connect(); err != nil {
		return err
	}
	if !e.conn.IsConnected() {
		return e.unconnected(ctx)
	}
	e.why = nil
	bucket, err := e.open(ctx)
	if err != nil {
		return err
	}
	if err := e.write(ctx, card{Zone: e.self.Zone, Instance: e.instance}); err != nil {
		return err
	}
	watcher, err := e.watch(ctx, bucket)
	if err != nil {
		return err
	}
	defer watcher.Stop() //nolint:errcheck // the connection may be gone, and then the watcher is too
	return e.follow(ctx, watcher.Updates())
}

// failed takes note of why the connection is lost, or could not be made.
func (e *natsEngine) failed(_ *nats.Conn, err error) {
	if err == nil {
		return
	}
	select {
	case <-e.failures: // the older one
	default:
	}
	select {
	case e.failures <- err:
	default: // a newer one came meanwhile
	}
}

// unconnected returns why there is no connection. A new connection says so a moment
// after its first attempt.
func (e *natsEngine) unconnected(ctx context.Context) error {
	wait := time.Duration(0)
	if e.why == nil {
		wait = e.every
	}
	select {
	case e.why = <-e.failures:
	case <-ctx.Done():
	case <-time.After(wait):
	}
	if err := e.conn.LastError(); err != nil {
		e.why = err
	}
	if e.why == nil {
		return errors.New("not connected")
	}
	return fmt.Errorf("not connected: %w", e.why)
}

// watch begins to watch all keys. Its context is that of the watcher, so the time for
// an answer is bounded apart from it.
func (e *natsEngine) watch(ctx context.Context, bucket nats.KeyValue) (nats.KeyWatcher, error) {
	limited, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(e.patience(), func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	w, err := bucket.WatchAll(nats.Context(limited))
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("watch the bucket %s: %w", e.settings.Bucket, err)
	}
	return w, nil
}

// patience is how long NATS may take to answer.
func (e *natsEngine) patience() time.Duration { return 2 * e.every }

// open returns the bucket, and makes it if it does not exist.
func (e *natsEngine) open(ctx context.Context) (nats.KeyValue, error) {
	name := e.settings.Bucket
	within, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	js, err := e.conn.JetStream(nats.Context(within))
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(name)
	if !errors.Is(err, nats.ErrBucketNotFound) {
		return bucket, wrap(err, "open the bucket "+name)
	}
	settings := &nats.KeyValueConfig{
		Bucket: name, Description: "the probers of a fleet of pingtel", TTL: expiry * e.settings.Refresh, Replicas: 3,
	}
	const noCluster nats.ErrorCode = 10074 // "replicas > 1 not supported in non-clustered mode"
	bucket, err = js.CreateKeyValue(settings)
	if failed := (*nats.APIError)(nil); errors.As(err, &failed) && failed.ErrorCode == noCluster {
		settings.Replicas = 1
		bucket, err = js.CreateKeyValue(settings)
	}
	return bucket, wrap(err, "make the bucket "+name)
}

func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// write writes our key. It does so without the methods of the bucket, which cannot be
// cancelled: each of its keys is the last part of a subject.
func (e *natsEngine) write(ctx context.Context, c card) error {
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if !e.conn.IsConnected() {
		return e.unconnected(ctx)
	}
	within, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	js, err := e.conn.JetStream(nats.Context(within))
	if err != nil {
		return err
	}
	ack, err := js.Publish("$KV."+e.settings.Bucket+"."+keyOf(e.self.Name), value, nats.Context(within))
	if err != nil {
		return fmt.Errorf("write to the bucket %s: %w", e.settings.Bucket, err)
	}
	revision := ack.Sequence
	if revision <= e.last { // the bucket was made anew, and counts from the start
		clear(e.revisions)
	}
	e.last = revision
	return nil
}

// follow takes what the watcher brings, and writes our key again and again. The engine
// works if our write comes back to us: then what others have written comes too.
func (e *natsEngine) follow(ctx context.Context, updates <-chan nats.KeyValueEntry) error {
	beat := time.NewTicker(e.every)
	defer beat.Stop()
	complete, echoed, written := false, false, time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, open := <-updates:
			switch {
			case !open:
				return errors.New("the watch has ended")
			case entry == nil:
				complete = true
			default:
				echoed = e.take(entry) || echoed
			}
			if complete && echoed {
				e.fleet.works()
				echoed = false
				written = time.Time{}
			}
		case <-beat.C:
			if !written.IsZero() {
				if time.Since(written) < e.patience() {
					continue
				}
				return errors.New("our own key does not come back from the server")
			}
			written = time.Now()
			if err := e.write(ctx, card{Zone: e.self.Zone, Instance: e.instance}); err != nil {
				return err
			}
		}
	}
}

// take notes what a key says. It reports whether it is our own last write, or a later
// one.
func (e *natsEngine) take(entry nats.KeyValueEntry) bool {
	known := e.revisions[entry.Key()]
	if entry.Revision() <= known { // from before: a new watch begins with the last value of each key
		return entry.Revision() >= e.last
	}
	if len(e.revisions) < 2*config.MaxMembers || known > 0 {
		e.revisions[entry.Key()] = entry.Revision()
	}
	if entry.Operation() != nats.KeyValuePut {
		return false // deleted, or expired: whoever is there writes again
	}
	name, c, err := readCard(entry.Key(), entry.Value())
	switch {
	case err != nil:
		e.strange(fmt.Sprintf("the key %.100q of the bucket %s is not a prober's: %v", entry.Key(), e.settings.Bucket, err))
	case name == e.self.Name:
		if c.Instance != e.instance && entry.Revision() > e.last && e.last > 0 {
			e.strange(fmt.Sprintf("another prober has the name %q too: give each prober of the fleet its own fleet.member", name))
		}
		return entry.Revision() >= e.last
	case c.Left:
		e.fleet.left(name)
	default:
		e.fleet.heard(Member{Name: name, Zone: c.Zone})
	}
	return false
}

// strange logs something that is wrong with the keys, once.
func (e *natsEngine) strange(what string) {
	if what != e.odd {
		e.odd = what
		e.fleet.log.Error(what)
	}
}

// leave says to the others that we go. It comes after run.
func (e *natsEngine) leave(ctx context.Context) (bool, error) {
	if e.conn == nil {
		return false, nil
	}
	err := e.write(ctx, card{Zone: e.self.Zone, Left: true, Instance: e.instance})
	if err != nil {
		return false, e.explain(err)
	}
	return true, nil
}

func (e *natsEngine) close() {
	if e.conn != nil {
		e.conn.Close()
	}
}

// explain adds to an error what to do about it.
func (e *natsEngine) explain(err error) error {
	at := "NATS at " + e.settings.Place()
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		err = fmt.Errorf("%w: set ca_file to the certificate of the authority that has signed the server's", err)
	case errors.As(err, &host):
		err = fmt.Errorf("%w: want a name or an address in the URL that the server's certificate has", err)
	case errors.As(err, &invalid):
		err = fmt.Errorf("%w: the server needs another certificate", err)
	case strings.Contains(err.Error(), "certificate required") || strings.Contains(err.Error(), "bad certificate") || strings.Contains(err.Error(), "unknown certificate authority"):
		err = fmt.Errorf("%w: set cert_file and key_file to a certificate that the server accepts", err)
	case strings.Contains(err.Error(), "closed by remote after TLS handshake"): // it may close before we can read why
		err = fmt.Errorf("%w: if the server wants a certificate, set cert_file and key_file to a certificate that the server accepts", err)
	case errors.Is(err, nats.ErrNoServers):
		err = fmt.Errorf("%w: is it running there, and can this machine reach it?", err)
	case errors.Is(err, nats.ErrAuthExpired):
		err = fmt.Errorf("%w: put new credentials in place of the file: it is read at each attempt", err)
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired):
		err = fmt.Errorf("%w: the server does not know the user, or the password or the credentials are wrong or have expired; creds_file is read at each attempt", err)
	case errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, nats.ErrJetStreamNotEnabledForAccount):
		err = fmt.Errorf("%w: make the bucket %s with 'nats kv add %s --ttl %v', or allow this user to", err, e.settings.Bucket, e.settings.Bucket, expiry*e.settings.Refresh)
	case errors.Is(err, nats.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("%w: JetStream is off there, or its cluster has no leader now", err)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w: no answer, or no permission", err)
	}
	return fmt.Errorf("%s: %w", at, err)
}

// keyOf returns the key of a member: its name, in which all is escaped that a key cannot
// have.
func keyOf(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// nameOf returns the name of the member that has a key.
func nameOf(key string) (string, error) {
	var name []byte
	for i := 0; i < len(key); i++ {
		if key[i] != '=' {
			name = append(name, key[i])
			continue
		}
		c, err := strconv.ParseUint(key[i+1:min(i+3, len(key))], 16, 8)
		if err != nil {
			return "", errors.New("not a name")
		}
		name = append(name, byte(c))
		i += 2
	}
	if keyOf(string(name)) != key {
		return "", errors.New("not a name")
	}
	return string(name), config.CheckMember(string(name))
}

// readCard returns what a key says. What others have written is not trusted.
func readCard(key string, value []byte) (name string, c card, err error) {
	if name, err = nameOf(key); err != nil {
		return "", card{}, err
	}
	if len(value) > maxCard {
		return "", card{}, fmt.Errorf("its value has %d bytes: want at most %d", len(value), maxCard)
	}
	if err := json.Unmarshal(value, &c); err != nil {
		return "", card{}, err
	}
	if c.Zone != "" {
		if err := config.CheckMember(c.Zone); err != nil {
			return "", card{}, fmt.Errorf("its zone is %w", err)
		}
	}
	return name, c, nil
}
