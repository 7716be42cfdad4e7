package confine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// folderEnv names the folder in which actConfined works.
const folderEnv = "PINGTEL_TEST_FOLDER"

// actConfined confines the process, and prints what it can still do, on threads that
// were there before and on the main one. For every line of stdin it prints that again.
func actConfined() {
	dir := os.Getenv(folderEnv)
	open, err := os.Open(filepath.Join(dir, "other", "open"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	work := make(chan func())
	var up sync.WaitGroup
	for range 4 {
		up.Add(1)
		go func() { // ends with the process
			runtime.LockOSThread()
			up.Done()
			for f := range work {
				f()
			}
		}()
	}
	up.Wait()
	err = Files([]string{filepath.Join(dir, "conf"), filepath.Join(dir, "missing")}, []string{filepath.Join(dir, "state")})
	fmt.Println("confine:", err, errors.Is(err, errors.ErrUnsupported))
	tell := func() {
		for _, name := range []string{"conf/file", "conf/below/file", "conf/linked", "other/file"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			fmt.Printf("read %s: %s %v\n", name, b, errors.Unwrap(err))
		}
		for _, name := range []string{"conf/new", "other/new", "state/new"} {
			err := os.WriteFile(filepath.Join(dir, name), nil, 0o600)
			fmt.Printf("write %s: %v\n", name, errors.Unwrap(err))
		}
		fmt.Println("remove:", errors.Unwrap(os.Remove(filepath.Join(dir, "state/new"))))
		fmt.Println("execute:", errors.Is(exec.Command("/bin/true").Run(), unix.EACCES))
		b := make([]byte, 4)
		n, err := open.ReadAt(b, 0)
		fmt.Printf("open: %s %v\n", b[:n], err)
		fmt.Println()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 4 {
			var once sync.WaitGroup
			once.Add(1)
			work <- func() { defer once.Done(); tell() }
			once.Wait()
		}
		tell()
	}
	os.Exit(0)
}

// TestFiles: a confined process reads its folders, also after an editor has
// replaced a file by another one, or a ConfigMap the folder behind a link. It can
// do nothing else with files. Where the kernel has no Landlock, that is the error.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) { // as the kubelet does
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Symlink(to, path+".tmp"), os.Rename(path+".tmp", path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"conf/file", "conf/below/file", "conf/..one/linked", "other/file", "other/open", "state/x"} {
		write(name, "old")
	}
	link("..one", "conf/..data")
	link("..data/linked", "conf/linked")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"=yes", folderEnv+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(stdout)
	next := func() string {
		var b strings.Builder
		for out.Scan() && out.Text() != "" {
			fmt.Fprintln(&b, out.Text())
		}
		return b.String()
	}
	out.Scan()
	if _, err := syscall.LandlockGetABIVersion(); err != nil {
		if out.Text() != "confine: unsupported operation: landlock_create_ruleset: "+err.Error()+" true" {
			t.Errorf("on a kernel without Landlock: %s", out.Text())
		}
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		return
	}
	if out.Text() != "confine: <nil> false" {
		t.Error(out.Text())
	}
	for _, text := range []string{"old", "new"} {
		if text == "new" {
			write("conf/file.tmp", text)
			if err := os.Rename(filepath.Join(dir, "conf/file.tmp"), filepath.Join(dir, "conf/file")); err != nil {
				t.Fatal(err)
			}
			write("conf/..two/linked", text)
			link("..two", "conf/..data")
		}
		if _, err := io.WriteString(stdin, "\n"); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`read conf/file: %s <nil>
read conf/below/file: old <nil>
read conf/linked: %s <nil>
read other/file:  permission denied
write conf/new: permission denied
write other/new: permission denied
write state/new: <nil>
remove: <nil>
execute: true
open: old EOF
`, text, text)
		for i := range 5 {
			if d := cmp.Diff(want, next()); d != "" {
				t.Errorf("%s, thread %d (-want +got):\n%s", text, i, d)
			}
		}
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// actEnv makes the test binary the process that is confined.
const actEnv = "PINGTEL_TEST_CONFINE"

func TestMain(m *testing.M) {
	if os.Getenv(actEnv) != "" {
		actConfined()
	}
	os.Exit(m.Run())
}
