package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// authority signs certificates, and puts them in files of a folder.
type authority struct {
	t      *testing.T
	folder string
	name   string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// newAuthority makes an authority, whose own certificate is in NAME.pem.
func newAuthority(t *testing.T, folder, name string) *authority {
	a := &authority{t: t, folder: folder, name: name}
	a.cert, a.key = a.issue(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue makes a certificate in NAME.pem with its key in NAME.key.
func (a *authority) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore = time.Now().Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.folder, file), pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// TestCredentials: probers connect to real servers of NATS with TLS, credentials and
// certificates. With wrong ones they say what to do; when the right ones are in the file,
// and before those expire, they are known without a restart.
func TestCredentials(t *testing.T) {
	t.Parallel()
	peer.NATS(t)
	peer.NATSCreds(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		dir := t.TempDir()
		if _, err := peer.Output(exec.Command(peer.NATSCreds(t), dir)); err != nil {
			t.Fatal(err)
		}
		ca, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
		here := []net.IP{net.IPv4(127, 0, 0, 1)}
		ca.issue("server", &x509.Certificate{IPAddresses: here})
		ca.issue("elsewhere", &x509.Certificate{DNSNames: []string{"nats.example"}})
		ca.issue("past", &x509.Certificate{IPAddresses: here, NotAfter: time.Now().Add(-time.Minute)})
		ca.issue("client", &x509.Certificate{})
		other.issue("intruder", &x509.Certificate{})
		auth, err := os.ReadFile(filepath.Join(dir, "server.conf"))
		if err != nil {
			t.Fatal(err)
		}
		tls := func(cert, more string) string {
			return fmt.Sprintf("tls { cert_file: %q, key_file: %q%s }\n", filepath.Join(dir, cert+".pem"), filepath.Join(dir, cert+".key"), more)
		}
		verify := fmt.Sprintf(", ca_file: %q, verify: true", filepath.Join(dir, "ca.pem"))
		for port, conf := range map[int]string{
			4222: string(auth) + tls("server", ""),
			4223: "authorization { user: probe, password: s3cret }\n" + tls("server", verify),
			4224: tls("elsewhere", ""),
			4225: tls("past", ""),
		} {
			text := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream { store_dir: %q }\n%s", port, filepath.Join(dir, fmt.Sprint(port)), conf)
			file := filepath.Join(dir, fmt.Sprint(port, ".conf"))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			server := peer.Start(t, exec.Command(peer.NATS(t), "-c", file))
			peer.Await(t, "the server is ready", func() bool { return strings.Contains(server.Text(), "Server is ready") }, server)
		}
		tryAll(t, dir)
		rotate(t, dir)
	})
}

// tryAll tries good and bad credentials at once.
func tryAll(t *testing.T, dir string) {
	t.Helper()
	const known = "the probers of the fleet are known"
	ca := fmt.Sprintf("ca_file = %q", filepath.Join(dir, "ca.pem"))
	creds := func(name string) string { return fmt.Sprintf(", creds_file = %q", filepath.Join(dir, name)) }
	client := func(name string) string {
		return fmt.Sprintf(", cert_file = %q, key_file = %q", filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	}
	tries := []struct{ url, keys, want string }{
		{"tls://127.0.0.1:4222", ca + creds("user.creds"), known},
		{"tls://127.0.0.1:4222", `bucket = "pingtel"` + creds("user.creds"), "set ca_file to the certificate of the authority"},
		{"tls://127.0.0.1:4222", strings.Replace(ca, "ca.pem", "other.pem", 1) + creds("user.creds"), "set ca_file to the certificate of the authority"},
		{"tls://127.0.0.1:4222", ca, "the server does not know the user"},
		{"tls://127.0.0.1:4222", ca + creds("stranger.creds"), "the server does not know the user"},
		{"tls://127.0.0.1:4222", ca + creds("expired.creds"), "or have expired; creds_file is read at each attempt"},
		{"tls://127.0.0.1:4222", ca + creds("none.creds"), "none.creds: no such file or directory"},
		{"tls://127.0.0.1:4222", strings.Replace(ca, "ca.pem", "none.pem", 1) + creds("user.creds"), "none.pem: no such file or directory"},
		{"tls://probe:s3cret@127.0.0.1:4223", ca + client("client"), known},
		{"tls://probe:wr0ng@127.0.0.1:4223", ca + client("client"), "the server does not know the user"},
		{"tls://probe:s3cret@127.0.0.1:4223", ca, "set cert_file and key_file to a certificate that the server accepts"},
		{"tls://probe:s3cret@127.0.0.1:4223", ca + client("intruder"), "set cert_file and key_file to a certificate that the server accepts"},
		{"tls://127.0.0.1:4224", ca, "want a name or an address in the URL that the server's certificate has"},
		{"tls://127.0.0.1:4225", ca, "the server needs another certificate"},
	}
	var all []*peer.Service
	for i, tt := range tries {
		p := newProbers(t, "198.18.64.1", 1, 1, fmt.Sprintf(`{ nats = %q, refresh = "1s", %s }`, tt.url, tt.keys))
		all = append(all, p.start(fmt.Sprintf("probe-%d", i)))
	}
	for i, tt := range tries {
		all[i].Says(t, 0, tt.want)
		if text := all[i].Text(); strings.Contains(text, "s3cret") || strings.Contains(text, "wr0ng") {
			t.Errorf("the log has a password: %s", text)
		} else {
			line := text[:strings.Index(text, tt.want)]
			t.Logf("%s %s: ...%s%s", tt.url, tt.keys, line[strings.LastIndexByte(line, '\n')+1:], tt.want)
		}
		all[i].Kill()
	}
}

// rotate replaces the file of credentials, of which the first have expired and the second
// expire soon.
func rotate(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "rotated.creds")
	put := func(name string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	put("expired.creds")
	p := newProbers(t, "198.18.64.1", 1, 1, fmt.Sprintf(`{ nats = "tls://127.0.0.1:4222", refresh = "1s", ca_file = %q, creds_file = %q }`, filepath.Join(dir, "ca.pem"), file))
	s := p.start("probe-9")
	s.Says(t, 0, "creds_file is read at each attempt")
	put("again.creds")
	s.Says(t, 0, "the list of the fleet's members can be read again")
}
