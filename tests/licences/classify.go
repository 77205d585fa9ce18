package main

import "strings"

// permitted are the licences that may be linked into a binary under the Apache License: permissive ones, and the MPL,
// whose conditions end at its own files.
var permitted = map[string]bool{
	"Apache-2.0": true, "MIT": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MPL-2.0": true,
	"Unlicense": true, "CC0-1.0": true, "Zlib": true,
}

// unknown is the name of what classify does not recognise.
const unknown = "unknown"

// phrases tell licences apart, the more particular first: a text is of the first licence of which it has all phrases.
// Texts are compared in lower case, with single spaces.
var phrases = []struct {
	name string
	has  []string
}{
	{"AGPL", []string{"gnu affero general public license version"}},
	{"LGPL", []string{"gnu lesser general public license version"}},
	{"GPL", []string{"gnu general public license version"}},
	{"BUSL", []string{"business source license"}},
	{"SSPL", []string{"server side public license"}},
	{"EPL", []string{"eclipse public license"}},
	{"MPL-2.0", []string{"mozilla public license", "2.0"}},
	{"Apache-2.0", []string{"apache license", "version 2.0"}},
	{"Apache-2.0", []string{"licensed under the apache 2.0 license"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "to endorse or promote products"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "this list of conditions"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose"}},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
	{"CC0-1.0", []string{"cc0 1.0 universal"}},
	{"Zlib", []string{"this software is provided 'as-is'", "altered source versions must be plainly marked"}},
}

// classify names the licence of a text by its SPDX identifier.
func classify(text string) string {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	for _, p := range phrases {
		all := true
		for _, phrase := range p.has {
			all = all && strings.Contains(text, phrase)
		}
		if all {
			return p.name
		}
	}
	return unknown
}
