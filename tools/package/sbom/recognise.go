package main

import (
	"slices"
	"strings"
)

// recognise names the licences (SPDX identifiers) whose own sentences a text has.
func recognise(text []byte) []string {
	flat := strings.ToLower(strings.Join(strings.Fields(string(text)), " "))
	has := func(sentences ...string) bool {
		return !slices.ContainsFunc(sentences, func(s string) bool { return !strings.Contains(flat, s) })
	}
	var ids []string
	add := func(id string, is bool) {
		if is {
			ids = append(ids, id)
		}
	}
	add("Apache-2.0", has("apache license", "version 2.0, january 2004") || has("licensed under the apache license, version 2.0"))
	add("MIT", has("permission is hereby granted, free of charge, to any person obtaining a copy"))
	redistribution := has("redistribution and use in source and binary forms, with or without modification, are permitted")
	third := has("neither the name") || has("the names of its contributors may not be used") || has("may not be used to endorse or promote products")
	add("BSD-3-Clause", redistribution && third)
	add("BSD-2-Clause", redistribution && !third)
	add("ISC", has("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee") ||
		has("permission to use, copy, modify, and distribute this software for any purpose with or without fee"))
	add("MPL-2.0", has("mozilla public license", "version 2.0"))
	add("LGPL-2.1-only", has("gnu lesser general public license", "version 2.1, february 1999"))
	add("GPL-2.0-only", has("gnu general public license version 2, june 1991"))
	add("CC0-1.0", has("cc0 1.0 universal"))
	add("Unlicense", has("this is free and unencumbered software released into the public domain"))
	return ids
}
