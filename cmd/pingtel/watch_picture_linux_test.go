package main

import (
	"cmp"
	"flag"
	"fmt"
	"html"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
)

var pictures = flag.Bool("pictures", false, "write the pictures of pingtel watch in docs anew, which takes four minutes")

// pictured is a network in which a lot happens, on purpose.
func pictured() []netsim.Rule {
	const ms = time.Millisecond
	rule := func(prefix string, delay, jitter time.Duration, loss float64, ttl uint8, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Delay: delay, Jitter: jitter, Loss: loss, TTL: ttl, Answer: answer}
	}
	outage := func(from, to time.Duration) netsim.Answer {
		return func(r netsim.Request) []netsim.Packet {
			if r.At > from && r.At < to {
				return nil
			}
			return netsim.True(r)
		}
	}
	congested := func(r netsim.Request) []netsim.Packet { // a queue that fills up and overflows
		full := time.Duration(max(0, r.N%60-40))
		if full > 14 && r.N%3 == 0 {
			return nil
		}
		return []netsim.Packet{{After: full * 9 * ms}}
	}
	return []netsim.Rule{
		rule("198.18.0.0/18", 4*ms, 3*ms, 0, 62, nil),
		rule("198.18.8.0/22", 30*ms, 20*ms, 0, 55, nil),
		rule("198.18.20.0/24", 150*ms, 40*ms, 0.02, 48, nil),
		rule("198.18.30.0/25", 12*ms, 4*ms, 0, 60, outage(150*time.Second, 400*time.Second)),
		rule("198.19.0.1/32", 1*ms, ms/2, 0, 64, nil),
		rule("198.19.0.2/32", 9*ms, 3*ms, 0, 58, nil),
		rule("198.19.0.3/32", 24*ms, 4*ms, 0, 56, congested),
		rule("198.19.0.4/32", 14*ms, 5*ms, 0, 57, outage(100*time.Second, 118*time.Second)),
		rule("198.19.0.5/32", 85*ms, 10*ms, 0.03, 49, nil),
		rule("198.19.0.6/32", 40*ms, 25*ms, 0, 120, nil),
		rule("198.19.0.7/32", 0, 0, 0, 64, netsim.Fail(router, netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule("198.19.0.8/32", 0, 0, 0, 64, netsim.Lost),
		rule("198.19.0.9/32", 210*ms, 8*ms, 0, 242, nil),
	}
}

// TestPictures makes the pictures of docs/watch.md of a real run.
func TestPictures(t *testing.T) {
	if !*pictures {
		t.Skip("cmd: the pictures in docs: go test ./cmd/pingtel -v -run TestPictures -pictures")
	}
	netsim.Run(t, pictured(), func(t *testing.T, n *netsim.Net) {
		few := tmux.Start(t, 100, 16, nil, peer.Pingtel(), "watch", "198.19.0.1-9", "no.such.example")
		many := tmux.Start(t, 140, 38, nil, peer.Pingtel(), "watch", "-i", "2", "198.18.0.1-198.18.39.16")
		for n.Now() < 215*time.Second {
			time.Sleep(time.Second) // a history takes its time
		}
		picture(t, few, "watch-table.svg", 100, 16)
		picture(t, many, "watch-many.svg", 140, 38)
		few.Type("/0.3")
		few.Press("Enter", "Enter")
		few.Resize(100, 24)
		few.AwaitText("replies from")
		picture(t, few, "watch-target.svg", 100, 24)
	})
}

// The size of a cell in a picture.
const cellWidth, cellHeight = 8, 17

// picture writes what a terminal shows as SVG to docs.
func picture(t *testing.T, x *tmux.Terminal, name string, width, height int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="13" fill="#d8dee4">`+"\n",
		width*cellWidth+16, height*cellHeight+16)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="6" fill="#16191d"/>`+"\n")
	var p pen // goes on over the ends of lines
	for row, line := range strings.Split(x.Escaped(), "\n") {
		p.line(&b, line, 8, 8+row*cellHeight)
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(filepath.Join("..", "..", "docs", name), []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// pen is how text looks in a picture.
type pen struct {
	colour               string
	bold, faint, reverse bool
}

var penColours = map[string]string{"31": "#ff6b68", "32": "#4ec27d", "33": "#e5c04b"}

// line draws a line of text with escapes. A run of characters of one look is one
// element as wide as its cells; bars are drawn, since fonts have them in several
// widths.
func (p *pen) line(b *strings.Builder, line string, x, y int) {
	for len(line) > 0 {
		if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
			codes, after, _ := strings.Cut(rest, "m")
			p.set(codes)
			line = after
			continue
		}
		text, after, found := strings.Cut(line, "\x1b[")
		line = after
		if found {
			line = "\x1b[" + after
		}
		x = p.draw(b, []rune(text), x, y)
	}
}

// set takes over the codes of an escape (ECMA-48, SGR).
func (p *pen) set(codes string) {
	for code := range strings.SplitSeq(codes, ";") {
		switch code {
		case "", "0":
			*p = pen{}
		case "1":
			p.bold = true
		case "2":
			p.faint = true
		case "7":
			p.reverse = true
		case "49": // the background, which is never another
		case "39":
			p.colour = ""
		default:
			p.colour = penColours[code]
		}
	}
}

// draw draws a text and returns where the next one begins.
func (p *pen) draw(b *strings.Builder, text []rune, x, y int) int {
	end := x + len(text)*cellWidth
	fill := p.colour
	if p.reverse {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`, x, y, end-x, cellHeight, cmp.Or(fill, "#d8dee4"))
		fill = "#16191d"
	}
	attributes := ""
	if fill != "" {
		attributes += ` fill="` + fill + `"`
	}
	if p.faint {
		attributes += ` opacity="0.65"`
	}
	if p.bold {
		attributes += ` font-weight="bold"`
	}
	for len(text) > 0 {
		n := 0
		for n < len(text) && (text[n] < '▁' || text[n] > '▓') {
			n++
		}
		if word := strings.TrimRight(string(text[:n]), " "); word != "" {
			lead := len(word) - len(strings.TrimLeft(word, " "))
			word = word[lead:]
			fmt.Fprintf(b, `<text x="%d" y="%d" textLength="%d" xml:space="preserve"%s>%s</text>`, x+lead*cellWidth, y+13, len([]rune(word))*cellWidth, attributes, html.EscapeString(word))
		}
		x += n * cellWidth
		text = text[n:]
		if len(text) > 0 {
			x = p.block(b, text[0], x, y, attributes)
			text = text[1:]
		}
	}
	b.WriteByte('\n')
	return end
}

// block draws a bar, or a shade as a bar of less colour.
func (p *pen) block(b *strings.Builder, r rune, x, y int, attributes string) int {
	high := cellHeight
	switch {
	case r <= '█':
		high = cellHeight * int(r-'▁'+1) / 8
	default:
		attributes += ` fill-opacity="` + strconv.FormatFloat(float64(r-'░'+1)/4, 'f', 2, 64) + `"`
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d"%s/>`, x, y+cellHeight-high, cellWidth, high, attributes)
	return x + cellWidth
}
