// Command licences lists the modules that are linked into programs, with the licence of each, and fails if there is one
// that may not be linked or that it does not know.
//
//	go run ./tests/licences ./cmd/scree
//
// It asks `go list` for the packages, and reads the licence files at the root of each module and in every directory
// between there and a package that is linked: code taken over from elsewhere often brings its own.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	packages := os.Args[1:]
	if len(packages) == 0 {
		packages = []string{"./cmd/scree"}
	}
	if err := run(packages, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// run prints a line for each module and returns an error for all that may not be linked.
func run(packages []string, out io.Writer) error {
	modules, err := linked(packages)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	var refused []error
	for _, m := range modules {
		names, err := m.licences()
		if err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", m.path, err))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.path, m.version, strings.Join(names, ", "))
	}
	return errors.Join(errors.Join(refused...), table.Flush())
}

// module is a module of which something is linked.
type module struct {
	path, version string
	root          string              // directory
	dirs          map[string]struct{} // of the packages that are linked
}

// listed is what is asked of go list.
type listed struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linked are the modules behind packages, but for the main module and the standard library, by path.
func linked(packages []string) ([]*module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,Module"}, packages...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	byPath := map[string]*module{}
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, root: p.Module.Dir, dirs: map[string]struct{}{}}
			byPath[m.path] = m
		}
		for dir := p.Dir; len(dir) >= len(m.root); dir = filepath.Dir(dir) {
			m.dirs[dir] = struct{}{}
		}
	}
	out := make([]*module, 0, len(byPath))
	for _, m := range byPath {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// licences are the names of a module's licences, with an error if one may not be linked or none is there.
func (m *module) licences() (names []string, err error) {
	for dir := range m.dirs {
		files, readErr := licenceFiles(dir)
		err = errors.Join(err, readErr)
		for _, file := range files {
			text, readErr := os.ReadFile(file)
			err = errors.Join(err, readErr)
			name := classify(string(text))
			if !permitted[name] {
				err = errors.Join(err, fmt.Errorf("%s is %s", file, name))
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 && err == nil {
		err = errors.New("no licence file")
	}
	slices.Sort(names)
	return names, err
}

// licenceFiles are the files of a directory that look like licences by their names.
func licenceFiles(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".MD"), ".TXT")
		if e.Type().IsRegular() && (strings.HasPrefix(name, "LICENSE") || strings.HasPrefix(name, "LICENCE") || name == "COPYING") &&
			!strings.HasSuffix(name, ".GO") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, err
}
