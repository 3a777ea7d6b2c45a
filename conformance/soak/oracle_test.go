package soak

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// The oracle itself: it takes what was possible and nothing else.
func TestModel(t *testing.T) {
	a, b := unit{1, 3}, unit{2, 2}
	m := newModel()
	atStart := m.mark()
	m.propose([]unit{a})
	pending := m.mark()
	for name, c := range map[string]struct {
		rows []row
		ok   bool
	}{
		"nothing yet":   {nil, true},
		"already there": {a.all(), true},
		"half a unit":   {a.all()[:2], false},
		"twice":         {append(a.all(), a.all()...), false},
		"another":       {b.all(), false},
		"out of order":  {[]row{a.all()[1], a.all()[0], a.all()[2]}, false},
		"another text":  {[]row{a.all()[0], a.all()[1], {1, 2, "x"}}, false},
	} {
		if err := m.check(pending, c.rows); (err == nil) != c.ok {
			t.Errorf("%s while unit 1 is pending: %v, want ok %t", name, err, c.ok)
		}
	}
	m.settle(true)
	if err := m.check(m.mark(), nil); err == nil {
		t.Error("a row that stands may be missing")
	}
	if err := m.check(atStart, nil); err != nil {
		t.Errorf("a snapshot from before: %v", err)
	}
	m.propose([]unit{a, b})
	m.settle(false)
	if err := m.check(m.mark(), append(a.all(), b.all()...)); err == nil {
		t.Error("a unit that does not stand may be there")
	}
	if got := m.current(); !slices.Equal(got, []unit{a}) {
		t.Errorf("current %v", got)
	}
	for range 1000 {
		m.propose([]unit{b})
		m.settle(true)
		m.forget()
	}
	if n := len(m.states); n > 500 {
		t.Errorf("%d states are kept", n)
	}
	if err := m.check(m.mark(), b.all()); err != nil {
		t.Error(err)
	}
}

// The hand-made codec agrees with the golden bytes of the protocol's text, and notices
// every cut.
func TestRecords(t *testing.T) {
	if got, want := hex.EncodeToString(encode(nil)), "f0ffff7f00f8ffff7f00"; got != want {
		t.Errorf("no rows are %s, want %s", got, want)
	}
	rows := unit{7, 3}.all()
	body := encode(rows)
	got, err := decode(body)
	if err != nil || !slices.Equal(got, rows) {
		t.Errorf("decode = %v, %v", got, err)
	}
	for cut := range body {
		if _, err := decode(body[:cut]); err == nil {
			t.Errorf("cut at %d of %d goes unnoticed", cut, len(body))
		}
	}
	if _, err := decode(append(bytes.Clone(body), 0)); err == nil {
		t.Error("a byte more goes unnoticed")
	}
	if !strings.Contains(rows[0].text, "中") {
		t.Error("no text beyond ASCII")
	}
}
