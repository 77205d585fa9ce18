//go:build ignore

// Generate writes the weight tables that package value embeds.
//
//	go run generate.go -allkeys allkeys.txt -weights weights.tsv -gbk gbk.tsv
//
// allkeys.txt is the Default Unicode Collation Element Table 9.0.0 (unicode.org/Public/UCA/9.0.0; its licence is in
// LICENSE-UNICODE beside the tables). weights.tsv holds, for every code point of the basic plane, its number in decimal and the
// hexadecimal WEIGHT_STRING() of utf8mb4_general_ci and utf8mb4_unicode_ci (UCA 4.0.0), as any MySQL or MariaDB server prints it.
//
// gbk.tsv holds, for every code point of the basic plane, its number, its code in GBK and the WEIGHT_STRING() of
// gbk_chinese_ci, both hexadecimal; the code 3F stands for characters that GBK has not. In its table the code and the order are two
// weights. An empty name leaves a table as it is.
//
// A table is a deflated list of entries in the order of their code points. An entry is, all in unsigned varints: the
// number of code points; the first as difference to that of the entry before, further ones as they are; the number of weights; each weight as
// zigzag difference to the weight before.
package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"flag"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
)

type entry struct {
	points  []int
	weights []int
}

func main() {
	allkeys := flag.String("allkeys", "allkeys.txt", "DUCET 9.0.0")
	weights := flag.String("weights", "weights.tsv", "weight strings of a server")
	gbk := flag.String("gbk", "gbk.tsv", "codes and weight strings of GBK")
	flag.Parse()
	if *allkeys != "" {
		write("uca900.bin", ducet(*allkeys))
	}
	if *weights != "" {
		general, unicode := weightStrings(*weights)
		write("general.bin", general)
		write("uca400.bin", unicode)
	}
	if *gbk != "" {
		write("gbk.bin", gbkCodes(*gbk))
	}
}

func lines(name string) *bufio.Scanner {
	f, err := os.Open(name)
	check(err)
	return bufio.NewScanner(f)
}

// ducet keeps the primary weights of every element.
func ducet(name string) (entries []entry) {
	for sc := lines(name); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		points, elements, ok := strings.Cut(line, ";")
		if !ok || strings.HasPrefix(line, "@") {
			continue
		}
		var e entry
		for _, p := range strings.Fields(points) {
			e.points = append(e.points, hex(p))
		}
		for _, el := range strings.Split(elements, "[")[1:] {
			if w := hex(el[1:5]); w != 0 {
				e.weights = append(e.weights, w)
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// weightStrings keeps what differs from the rule for characters without an entry.
func weightStrings(name string) (general, unicode []entry) {
	for sc := lines(name); sc.Scan(); {
		f := strings.Split(sc.Text(), "\t")
		cp, err := strconv.Atoi(f[0])
		check(err)
		if w := units(f[1]); !slices.Equal(w, []int{cp}) {
			general = append(general, entry{[]int{cp}, w})
		}
		if w := units(f[2]); !isImplicit(cp, w) {
			unicode = append(unicode, entry{[]int{cp}, slices.DeleteFunc(w, func(w int) bool { return w == 0 })})
		}
	}
	return general, unicode
}

// gbkCodes has every character of GBK with its code and its place in gbk_chinese_ci.
func gbkCodes(name string) (entries []entry) {
	for sc := lines(name); sc.Scan(); {
		f := strings.Split(sc.Text(), "\t")
		cp, err := strconv.Atoi(f[0])
		check(err)
		if f[1] != "3F" || cp == '?' {
			entries = append(entries, entry{[]int{cp}, []int{hex(f[1]), hex(f[2])}})
		}
	}
	return entries
}

// isImplicit is UCA 4.0.0's rule for what has no entry, as package value applies it.
func isImplicit(cp int, w []int) bool {
	base := 0xfbc0
	switch {
	case cp >= 0x3400 && cp <= 0x4db5:
		base = 0xfb80
	case cp >= 0x4e00 && cp <= 0x9fa5:
		base = 0xfb40
	}
	return slices.Equal(w, []int{base + cp>>15, cp&0x7fff | 0x8000})
}

func units(s string) (w []int) {
	for ; s != ""; s = s[4:] {
		w = append(w, hex(s[:4]))
	}
	return w
}

func write(name string, entries []entry) {
	slices.SortStableFunc(entries, func(a, b entry) int { return slices.Compare(a.points, b.points) })
	var out []byte
	first, weight := 0, 0
	for _, e := range entries {
		out = binary.AppendUvarint(out, uint64(len(e.points)))
		out = binary.AppendUvarint(out, uint64(e.points[0]-first))
		first = e.points[0]
		for _, p := range e.points[1:] {
			out = binary.AppendUvarint(out, uint64(p))
		}
		out = binary.AppendUvarint(out, uint64(len(e.weights)))
		for _, w := range e.weights {
			out = binary.AppendVarint(out, int64(w-weight))
			weight = w
		}
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	check(err)
	_, err = z.Write(out)
	check(err)
	check(z.Close())
	check(os.WriteFile(name, packed.Bytes(), 0o644))
	log.Printf("%s: %d entries, %d bytes", name, len(entries), packed.Len())
}

func hex(s string) int {
	v, err := strconv.ParseInt(s, 16, 32)
	check(err)
	return int(v)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
