package page

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// fill mixes a colour into a rectangle.
func (c *picture) fill(r image.Rectangle, colour color.RGBA, part float64) {
	r = r.Intersect(c.Bounds())
	m := uint32(part * 256)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.Pix[c.PixOffset(r.Min.X, y):]
		for i := 0; i < 4*r.Dx(); i += 4 {
			row[i] = uint8((uint32(colour.R)*m + uint32(row[i])*(256-m)) >> 8)
			row[i+1] = uint8((uint32(colour.G)*m + uint32(row[i+1])*(256-m)) >> 8)
			row[i+2] = uint8((uint32(colour.B)*m + uint32(row[i+2])*(256-m)) >> 8)
			row[i+3] = 255
		}
	}
}

// The fonts of a picture.
const (
	small = iota
	bold
)

// Where text stands relative to its place.
const (
	left = iota
	centre
	right
)

// faces holds the fonts. A face is for one goroutine at a time.
var faces struct {
	sync.Mutex
	list []font.Face
}

// withFace calls f with a font.
func withFace(which int, f func(font.Face)) {
	faces.Lock()
	defer faces.Unlock()
	if faces.list == nil {
		for i, ttf := range [][]byte{goregular.TTF, gobold.TTF} {
			parsed, err := opentype.Parse(ttf)
			if err != nil { // it is embedded
				panic(err)
			}
			face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: []float64{11.5, 14}[i], DPI: 72, Hinting: font.HintingFull})
			if err != nil { // of its options
				panic(err)
			}
			faces.list = append(faces.list, face)
		}
	}
	f(faces.list[which])
}

// printable replaces characters that do not show, and cuts a text that no picture has
// room for.
func printable(s string) string {
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func textWidth(s string, which int) (n int) {
	withFace(which, func(f font.Face) { n = font.MeasureString(f, printable(s)).Ceil() })
	return n
}

// text writes a text whose base line is at y.
func (c *picture) text(x, y int, s string, colour color.RGBA, which, where int) {
	s = printable(s)
	switch where {
	case centre:
		x -= textWidth(s, which) / 2
	case right:
		x -= textWidth(s, which)
	}
	withFace(which, func(f font.Face) {
		d := font.Drawer{Dst: c.RGBA, Src: image.NewUniform(colour), Face: f, Dot: fixed.P(x, y)}
		d.DrawString(s)
	})
}

// topOf returns the top of a graph, from the 90th percentiles of its columns and the
// largest round-trip time: rare peaks must not flatten it.
func topOf(tops []float64, most float64) float64 {
	if len(tops) == 0 {
		return 1e-3
	}
	slices.Sort(tops)
	return math.Min(most, 1.6*tops[int(float64(len(tops))*.98)])
}

// niceStep returns a round number at least as large.
func niceStep(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= v {
			return n * unit
		}
	}
	return 10 * unit
}

// timeStep returns a round number of seconds at least as large, and how to write a
// time at a multiple of it.
func timeStep(v float64) (seconds int64, form string) {
	for _, s := range []int64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400, 5 * 86400, 10 * 86400, 30 * 86400} {
		if float64(s) < v {
			continue
		}
		switch {
		case s < 60:
			return s, "15:04:05"
		case s < 21600:
			return s, "15:04"
		case s < 86400:
			return s, "2 Jan 15:04"
		}
		return s, "2 Jan"
	}
	return 100 * 86400, "2 Jan 2006"
}
