package watch

import (
	"strings"
	"unicode/utf8"

	"github.com/pingtel/pingtel/internal/report"
)

// action is what a key asks of the program.
type action uint8

const (
	goOn action = iota
	quit
	suspend
)

// maxTyped bounds the text of the filter.
const maxTyped = 200

// key takes in a key: its name, and the text that it types.
func (s *Screen) key(name, text string) action {
	switch name {
	case "ctrl+c":
		return quit
	case "ctrl+z":
		return suspend
	}
	switch {
	case s.typing:
		s.typeKey(name, text)
		return goOn
	case name == "q":
		return quit
	case s.view == viewHelp:
		s.view = s.before
		return goOn
	}
	switch name {
	case "p":
		s.pathKey()
	case "?":
		s.before, s.view = s.view, viewHelp
	case "space", " ":
		s.freeze()
	case "/":
		s.typing, s.view = true, viewTable
	case "s":
		s.list.by = (s.list.by + 1) % orders
		s.rerank()
	case "m":
		if s.view == viewMap {
			s.view = viewTable
		} else {
			s.view = viewMap
		}
	case "alt+esc": // two that came at once
		s.back()
		s.back()
	case "esc", "backspace":
		s.back()
	case "enter":
		switch {
		case s.view == viewDetail:
			s.view = viewTable
		case s.current() != nil:
			s.cursor, s.view = s.current(), viewDetail
		}
	default:
		s.move(name)
	}
	return goOn
}

// rerank has the figures of a new order worked out at once.
func (s *Screen) rerank() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	for _, t := range s.targets() {
		s.scratch = t.refresh(s.list.by, s.scratch)
	}
}

// back leaves what was entered last: a view, then the filter.
func (s *Screen) back() {
	switch {
	case s.view == viewPath:
		s.view = s.covered
	case s.view != viewTable:
		s.view = viewTable
	case s.typed != "":
		s.setFilter("")
	default:
		s.cursor = nil
	}
}

func (s *Screen) setFilter(text string) { s.typed, s.filter = text, newFilter(text) }

// typeKey takes in a key of the filter's text.
func (s *Screen) typeKey(name, text string) {
	switch name {
	case "enter":
		s.typing = false
	case "esc":
		s.typing = false
		s.setFilter("")
	case "ctrl+u":
		s.setFilter("")
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(s.typed)
		s.setFilter(s.typed[:len(s.typed)-n])
	default:
		s.typeText(text)
	}
}

// typeText adds a text to the filter.
func (s *Screen) typeText(text string) {
	if text = report.Clean(text); len(s.typed)+len(text) <= maxTyped {
		s.setFilter(s.typed + text)
	}
}

// paste takes in a text that was pasted: its first line.
func (s *Screen) paste(text string) {
	if !s.typing {
		return
	}
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	s.typeText(strings.TrimSpace(line))
}

// move moves the cursor.
func (s *Screen) move(name string) {
	if s.view == viewPath {
		s.path.scroll(name)
		return
	}
	rows := len(s.list.rows)
	if rows == 0 {
		return
	}
	row := s.cursorRow()
	switch name {
	case "up", "k":
		row--
	case "down", "j":
		row++
	case "pgup":
		row -= max(s.page, 1)
	case "pgdown":
		row += max(s.page, 1)
	case "home", "g":
		s.cursor, s.top = nil, 0
		return
	case "end", "G":
		row = rows - 1
	default:
		return
	}
	s.cursor = s.list.rows[min(max(row, 0), rows-1)]
}
