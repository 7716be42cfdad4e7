package watch

// helpText says what the screen shows and what may be pressed.
var helpText = []string{
	"/      filter by host, address or tag: north role=core",
	"s      sort: worst first, loss, median, p95, jitter, host",
	"enter  one target: distribution, errors, addresses",
	"p      its path now, and where loss begins; p: back",
	"m      map of all targets, a cell for each; m: back",
	"space  freeze what is shown; measuring goes on",
	"up down pgup pgdn end   choose a target; home: the worst",
	"esc    back; in the table: clear the filter",
	"q      quit",
	"",
	"Figures are of the last 5 minutes, as far as echoes are",
	"kept. Times are in ms. Down: 3 echoes in a row are lost.",
	"Worst first: down, then loss, then p95. A bar is the",
	"largest RTT of its echoes, on the target's own scale.",
}

func (s *Screen) help(f *frame) {
	for _, line := range helpText {
		if f.lines == f.most {
			return
		}
		f.put(plain, line)
		f.end()
	}
	type sign struct {
		look look
		text string
		what string
	}
	signs := []sign{
		{mark, s.glyphs.lost, "all echoes lost"}, {bad, s.glyphs.bars[2], "some of them lost"},
		{mark, s.glyphs.failed, "cannot be pinged"}, {good, s.glyphs.bars[2], "all answered"},
	}
	if !s.colour {
		signs[1] = sign{mark, s.glyphs.some, "some of them lost"}
	}
	for _, x := range signs {
		if f.lines == f.most {
			return
		}
		f.put(plain, "  ")
		f.put(x.look, x.text)
		f.put(plain, "  "+x.what)
		f.end()
	}
}
