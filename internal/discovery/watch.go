package discovery

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watcher wakes the sources whose folders change. It watches folders and not files,
// so that it sees files that are replaced, and links that change.
type watcher struct {
	fs *fsnotify.Watcher

	mu      sync.Mutex // guards what follows
	folders map[string]map[*source]bool
}

// watch starts the watcher of a set, if one of its sources is a file.
func (s *Set) watch(ctx context.Context) *watcher {
	if !s.hasFiles() || s.noWatch {
		return nil
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("changes of files with targets are seen only at a refresh", "error", err)
		return nil
	}
	w := &watcher{fs: fs, folders: make(map[string]map[*source]bool)}
	s.running.Go(func() { w.run(ctx) })
	return w
}

func (s *Set) hasFiles() bool {
	for _, src := range s.sources {
		if _, ok := src.looker.(*fileLooker); ok {
			return true
		}
	}
	return false
}

func (w *watcher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.fs.Events:
			w.wake(e.Name, filepath.Dir(e.Name))
		case <-w.fs.Errors: // events may be lost
			w.wake()
		}
	}
}

// wake wakes the sources of the folders, or all of them.
func (w *watcher) wake(folders ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(folders) == 0 {
		for folder := range w.folders {
			folders = append(folders, folder)
		}
	}
	for _, folder := range folders {
		for src := range w.folders[folder] {
			select {
			case src.wake <- struct{}{}:
			default:
			}
		}
	}
}

// watch watches a folder for a source. It does so again each time, since the folder
// may be another one of the same name. A folder that cannot be watched is read at
// each refresh.
func (w *watcher) watch(src *source, folder string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	if w.folders[folder] == nil {
		w.folders[folder] = make(map[*source]bool)
	}
	w.folders[folder][src] = true
	w.mu.Unlock()
	if err := w.fs.Add(folder); err != nil {
		src.set.log.Debug("a folder with targets is not watched", "folder", folder, "error", err)
	}
}

func (w *watcher) close() { w.fs.Close() } // nobody needs its error
