package main

import (
	"slices"
	"testing"
)

func TestRecognise(t *testing.T) {
	bsd := "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided that"
	for text, want := range map[string][]string{
		"  Apache License\n  Version 2.0, January 2004": {"Apache-2.0"},
		bsd + " … Neither the name of X nor":            {"BSD-3-Clause"},
		bsd:                                             {"BSD-2-Clause"},
		"Permission is hereby granted, free of charge, to any person obtaining\na copy of this …": {"MIT"},
		"All rights reserved.": nil,
	} {
		if got := recognise([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, wanted %v", text, got, want)
		}
	}
}
