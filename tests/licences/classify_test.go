package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Texts as they are written, with line ends anywhere.
func TestClassify(t *testing.T) {
	for text, want := range map[string]string{
		"   Apache License\n   Version 2.0, January 2004":                                                               "Apache-2.0",
		"MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining\na copy of this software": "MIT",
		"Redistribution and use in source and binary\nforms ... retain this list of conditions":                         "BSD-2-Clause",
		"Redistribution and use in source and binary forms ... used to endorse\nor promote products derived":            "BSD-3-Clause",
		"GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007":                                                         "GPL",
		"GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1":                                                              "LGPL",
		"GNU AFFERO GENERAL PUBLIC LICENSE\n  Version 3":                                                                "AGPL",
		"Business Source License 1.1 ... Change License: Apache License, Version 2.0":                                   "BUSL",
		"all rights reserved": unknown,
		"":                    unknown,
	} {
		require.Equal(t, want, classify(text), text)
	}
	own, err := os.ReadFile("../../LICENSE")
	require.NoError(t, err)
	require.Equal(t, "Apache-2.0", classify(string(own)))
}

// A module without a licence, and one with a licence below its root that may not be linked, are refused.
func TestModule(t *testing.T) {
	root := t.TempDir()
	sub := filepath.Join(root, "copied")
	require.NoError(t, os.Mkdir(sub, 0o755))
	m := module{root: root, dirs: map[string]struct{}{root: {}, sub: {}}}
	_, err := m.licences()
	require.ErrorContains(t, err, "no licence file")

	write := func(file, text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o644)) }
	write(filepath.Join(root, "LICENSE.md"), "Apache License Version 2.0")
	write(filepath.Join(root, "license.go"), "package license")
	names, err := m.licences()
	require.NoError(t, err)
	require.Equal(t, []string{"Apache-2.0"}, names)

	write(filepath.Join(sub, "COPYING"), "GNU General Public License version 2")
	names, err = m.licences()
	require.ErrorContains(t, err, "COPYING is GPL")
	require.Equal(t, []string{"Apache-2.0", "GPL"}, names)
}
