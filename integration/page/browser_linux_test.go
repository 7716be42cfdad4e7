package page_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/peer"
)

// browser is a headless Chromium with one page. It speaks the DevTools protocol over
// two pipes, each message with a zero byte behind it.
type browser struct {
	t       *testing.T
	to      *os.File
	session string
	process *peer.Process

	mu      sync.Mutex // guards what follows
	last    int
	answers map[int]chan message
	faults  []string // exceptions, and what the policy refused
	urls    []string // requests
	bytes   float64  // received over the wire
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// startBrowser starts Debian's Chromium. The test ends it.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: install Debian's package chromium")
	}
	read, childWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	childRead, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US", "--remote-debugging-pipe",
		"--user-data-dir="+t.TempDir(), "about:blank")
	cmd.Env = append(os.Environ(), "TZ=Europe/Berlin")
	cmd.ExtraFiles = []*os.File{childRead, childWrite}
	b := &browser{t: t, to: write, answers: make(map[int]chan message), process: peer.Start(t, cmd)}
	childRead.Close()
	childWrite.Close()
	go b.read(read) // ends with the browser
	t.Cleanup(func() {
		b.process.Kill()
		write.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network", "Log", "Accessibility"} {
		b.call(domain+".enable", nil, nil)
	}
	b.size(1280, 900)
	return b
}

// read takes in what the browser says.
func (b *browser) read(from *os.File) {
	defer from.Close()
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.answers[m.ID]; c != nil {
			delete(b.answers, m.ID)
			c <- m
		}
		var p struct {
			Request           struct{ URL string }
			Entry             struct{ Level, Text string }
			EncodedDataLength float64
		}
		_ = json.Unmarshal(m.Params, &p)
		switch m.Method {
		case "Network.requestWillBeSent":
			b.urls = append(b.urls, p.Request.URL)
		case "Network.loadingFinished":
			b.bytes += p.EncodedDataLength
		case "Runtime.exceptionThrown":
			b.faults = append(b.faults, string(m.Params))
		case "Log.entryAdded":
			if p.Entry.Level == "error" {
				b.faults = append(b.faults, p.Entry.Text)
			}
		}
		b.mu.Unlock()
	}
}

// call calls a method, and waits for its answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	m := message{Method: method, Session: b.session}
	var err error
	if params != nil {
		if m.Params, err = json.Marshal(params); err != nil {
			b.t.Fatal(err)
		}
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	m.ID = b.last
	b.answers[m.ID] = answer
	b.mu.Unlock()
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", method, err, b.process.Text())
	}
	select {
	case got := <-answer:
		if got.Error != nil {
			b.t.Fatalf("%s: %s", method, got.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(got.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("%s: no answer in two minutes\n%s", method, b.process.Text())
	}
}

// eval returns the value of an expression in the page, also of a promise.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	var r struct {
		Result           struct{ Value T }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails.Exception.Description)
	}
	return r.Result.Value
}

// await waits until an expression in the page is true.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	peer.Await(b.t, what, func() bool { return eval[bool](b, "(async () => Boolean(await ("+expression+")))()") }, b.process)
}

// open opens an address, and waits until the page has shown its figures.
func (b *browser) open(url string) {
	b.t.Helper()
	b.mu.Lock()
	b.urls, b.bytes = nil, 0
	b.mu.Unlock()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	if url == "about:blank" {
		return
	}
	b.await("the figures of "+url, "document.body && document.body.dataset.drawn && location.href.startsWith("+fmt.Sprintf("%q", url)+")")
}

// size sets the size of the window.
func (b *browser) size(width, height int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
}

// dark chooses the scheme of colours.
func (b *browser) dark(on bool) {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": map[bool]string{false: "light", true: "dark"}[on]}}}, nil)
}

// drag moves the mouse with its button down.
func (b *browser) drag(x0, x1, y float64) {
	b.t.Helper()
	for _, e := range []struct {
		kind    string
		x       float64
		buttons int
	}{{"mouseMoved", x0, 0}, {"mousePressed", x0, 1}, {"mouseMoved", (x0 + x1) / 2, 1}, {"mouseMoved", x1, 1}, {"mouseReleased", x1, 0}} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": e.kind, "x": e.x, "y": y, "button": "left", "buttons": e.buttons, "clickCount": 1}, nil)
	}
}

// key presses a key.
func (b *browser) key(name string) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name}, nil)
	}
}

// picture writes the window, or the whole page, to a file of the folder that -pictures names.
func (b *browser) picture(name string, whole bool) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	var r struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": whole}, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = errors.Join(os.MkdirAll(*pictures, 0o755), os.WriteFile(filepath.Join(*pictures, name+".png"), data, 0o644))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// drawn returns when the first figures were on the screen, after the start of the
// navigation.
func (b *browser) drawn() time.Duration {
	return time.Duration(eval[float64](b, "Number(document.body.dataset.drawn)")) * time.Millisecond
}

// wire returns how many bytes came over the wire since open.
func (b *browser) wire() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// wrong returns what went wrong in the page, and the requests to others than this
// address.
func (b *browser) wrong(url string) (faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults = append(faults, b.faults...)
	for _, u := range b.urls {
		if len(u) < len(url) || u[:len(url)] != url {
			if u != "data:," && u != "about:blank" {
				faults = append(faults, "request of "+u)
			}
		}
	}
	return faults
}
