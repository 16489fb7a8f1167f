package protocol

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/effort"
)

func TestParseExit(t *testing.T) {
	for text, want := range map[string]ExitRecord{
		"1 256 0 5 6\n":                  {Status: 256, At: time.Unix(5, 6)},
		"1 9 2 1700000000 999999999\n":   {Status: 9, OOMKills: 2, At: time.Unix(1700000000, 999999999)},
		"1 9 0 5 6 it was killed, why\n": {Status: 9, At: time.Unix(5, 6), Reason: "it was killed, why"},
	} {
		if got, err := ParseExit([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n", "1 256 0 5 6", "2 256 0 5 6\n", "1 256 0 5\n", "1 x 0 5 6\n"} {
		if got, err := ParseExit([]byte(text)); err == nil {
			t.Errorf("%q = %+v", text, got)
		}
	}
}

func FuzzParseExit(f *testing.F) {
	f.Add([]byte("1 256 0 5 6 reason\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = ParseExit(text) })
}

// A command's name may hold what looks like the fields after it.
func TestReadStat(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/a) Z 1 1 ("
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name)
	cmd.Args[0] = "cat"
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	st, err := ReadStat(strconv.Itoa(cmd.Process.Pid))
	if err != nil || st.Dead() || !st.Executed() || st.StartTime == 0 {
		t.Errorf("stat = %+v, %v", st, err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// FuzzReaders reads what comes over a monitor's socket: no more than its part is taken.
func FuzzReaders(f *testing.F) {
	f.Add(make([]byte, 40))
	f.Add([]byte("BRTH\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		r := bytes.NewReader(text)
		if _, err := ReadEvent(r); (err == nil) != (len(text) >= 32) || err == nil && r.Len() != len(text)-32 {
			t.Errorf("an event of %d bytes: %v", len(text), err)
		}
		r.Reset(text)
		if _, err := ReadAttachReply(r); err == nil && r.Len() != len(text)-40 {
			t.Errorf("a reply of %d bytes leaves %d", len(text), r.Len())
		}
		r.Reset(text)
		if _, err := ReadTime(r); (err == nil) != (len(text) >= 16) {
			t.Errorf("a time of %d bytes: %v", len(text), err)
		}
	})
}
