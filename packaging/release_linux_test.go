package packaging

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var releaseDir = flag.String("release", "", "the `folder` that release.sh has filled")

var archiveName = regexp.MustCompile(`^pingtel_(.+)_([a-z]+)_([a-z0-9]+)\.(tar\.gz|zip)$`)

// TestRelease unpacks each archive of a release and looks at what is in it, and
// at what the files beside it say of it.
func TestRelease(t *testing.T) {
	if *releaseDir == "" {
		t.Skip("needs a release: packaging/release.sh 0.0.0 DIR && go test ./packaging -run TestRelease -release=DIR")
	}
	names := files(t, *releaseDir)
	want := []string{"SHA256SUMS"}
	for _, name := range names {
		m := archiveName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		stem := strings.TrimSuffix(name, "."+m[4])
		want = append(want, name, stem+".cdx.json")
		if rpmArch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[m[3]]; m[2] == "linux" && rpmArch != "" {
			want = append(want, fmt.Sprintf("pingtel_%s_%s.deb", m[1], m[3]), fmt.Sprintf("pingtel-%s-1.%s.rpm", m[1], rpmArch))
		}
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, name)
			if top := files(t, dir); len(top) > 0 {
				t.Errorf("files beside the one folder: %v", top)
			}
			checkArchive(t, filepath.Join(dir, stem), m[1], m[2], strings.TrimSuffix(m[3], "v7"))
			checkSBOM(t, filepath.Join(*releaseDir, stem+".cdx.json"), binaryIn(filepath.Join(dir, stem), m[2]))
		})
	}
	slices.Sort(want)
	if d := cmp.Diff(want, names); d != "" || len(want) == 1 {
		t.Errorf("files of the release (-want +got):\n%s", d)
	}
	checkSums(t, names)
}

// unpack unpacks an archive as people do.
func unpack(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	archive, err := filepath.Abs(filepath.Join(*releaseDir, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".zip") {
		output(t, dir, "unzip", "-q", archive)
	} else {
		output(t, dir, "tar", "-xzf", archive)
	}
	return dir
}

func binaryIn(dir, system string) string {
	if system == "windows" {
		return filepath.Join(dir, "pingtel.exe")
	}
	return filepath.Join(dir, "pingtel")
}

func checkArchive(t *testing.T, dir, version, system, arch string) {
	t.Helper()
	needed := []string{"README.md", "LICENSE", "config.example.toml", "docs/install.md"}
	if system != "windows" {
		needed = append(needed, "man/pingtel.1", "man/pingtel.toml.5", "completion/pingtel.bash")
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	checkLinks(t, dir)
	name := binaryIn(dir, system)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode of the binary %v, want 0755 (%v)", info.Mode(), err)
	}
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Main.Version != "v"+version {
		t.Errorf("version %s in an archive of %s", info.Main.Version, version)
	}
	want := map[string]string{"GOOS": system, "GOARCH": arch, "CGO_ENABLED": "0", "-trimpath": "true", "-tags": "grpcnotrace", "vcs.modified": "false"}
	for _, s := range info.Settings {
		if w, ok := want[s.Key]; ok && s.Value != w {
			t.Errorf("build setting %s = %s, want %s", s.Key, s.Value, w)
		}
		delete(want, s.Key)
	}
	if len(want) > 0 {
		t.Errorf("build settings missing: %v", want)
	}
}

// checkSBOM holds the list of components against what the binary itself says it
// was built from.
func checkSBOM(t *testing.T, name, binary string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`"(serialNumber|timestamp)"`).Find(b); found != nil {
		t.Errorf("%s has a %s, which differs from build to build", name, found)
	}
	var bom struct {
		Metadata struct {
			Component  struct{ Name, Version string }
			Properties []struct{ Name, Value string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(b, &bom); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std " + info.GoVersion}
	for _, m := range info.Deps {
		want = append(want, m.Path+" "+m.Version)
	}
	var got []string
	for _, c := range bom.Components {
		got = append(got, c.Name+" "+c.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" || len(info.Deps) == 0 {
		t.Errorf("components (-of the binary +listed):\n%s", d)
	}
	if c := bom.Metadata.Component; c.Name != info.Main.Path || c.Version != info.Main.Version {
		t.Errorf("the list is for %s %s, the binary is %s %s", c.Name, c.Version, info.Main.Path, info.Main.Version)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	if !bytes.Contains(b, []byte(sum)) {
		t.Errorf("the list does not have the binary's SHA-256 %s", sum)
	}
}

// checkSums lets sha256sum check the files, as docs/install.md tells people to.
func checkSums(t *testing.T, names []string) {
	t.Helper()
	cmd := exec.Command("sha256sum", "--strict", "-c", "SHA256SUMS")
	cmd.Dir = *releaseDir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
	if n := strings.Count(string(out), ": OK\n"); n != len(names)-1 {
		t.Errorf("SHA256SUMS has %d files, the release %d beside it", n, len(names)-1)
	}
}
