package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// model is what is known about the content of one partition: the states it had, in order,
// as lists of units, and which of them it has for certain.
type model struct {
	mu      sync.Mutex
	states  [][]unit // append-only but for forget; guarded by mu
	first   int      // number of states[0]; guarded by mu
	settled int      // number of the state that stands; guarded by mu
}

// unit is a piece of work that is visible as a whole or not at all.
type unit struct {
	id   int64
	rows int
}

func newModel() *model { return &model{states: [][]unit{nil}} }

// current is the state that stands. Only the partition's owner may rely on it.
func (m *model) current() []unit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[m.settled-m.first]
}

// propose says that the partition may from now on be in state next.
func (m *model) propose(next []unit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states = append(m.states, next)
}

// settle says whether the proposed state stands. Otherwise the one before does, for good.
func (m *model) settle(stands bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !stands {
		m.states = append(m.states, m.states[m.settled-m.first])
	}
	m.settled = m.first + len(m.states) - 1
}

// mark is the oldest state that a snapshot taken from now on may show.
func (m *model) mark() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled
}

// check compares a snapshot, taken after mark and before now, with all it may be.
func (m *model) check(mark int, rows []row) error {
	seen, err := unitsOf(rows)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.states[max(mark-m.first, 0):] {
		if slices.Equal(s, seen) {
			return nil
		}
	}
	return fmt.Errorf("%d units %v are none of the %d states possible since %d: %v", len(seen), seen, len(m.states)-(mark-m.first), mark, m.states[max(mark-m.first, 0):])
}

// forget drops states that no snapshot can show any more: those well before the settled
// one. Readers hold a mark only for the moment that it takes to make a session.
func (m *model) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	const keep = 200
	if n := m.settled - m.first - keep; n > keep {
		m.states = slices.Clone(m.states[n:])
		m.first += n
	}
}

// unitsOf reads back which units make up rows: each whole, in order, once, and with the
// right texts.
func unitsOf(rows []row) (units []unit, err error) {
	var seen = map[int64]bool{}
	for i := 0; i < len(rows); {
		u := unit{id: rows[i].unit}
		if seen[u.id] {
			return nil, fmt.Errorf("unit %d is there twice", u.id)
		}
		seen[u.id] = true
		for ; i < len(rows) && rows[i].unit == u.id; i++ {
			if want := makeRow(u.id, int64(u.rows)); rows[i] != want {
				return nil, fmt.Errorf("row %d is %+v, want %+v", i, rows[i], want)
			}
			u.rows++
		}
		units = append(units, u)
	}
	return units, nil
}

// rowsOf makes the rows of a unit.
func (u unit) all() []row {
	rows := make([]row, u.rows)
	for i := range rows {
		rows[i] = makeRow(u.id, int64(i))
	}
	return rows
}

func has(rows []row, id int64) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.unit == id })
}

// tally counts what was done, by words.
type tally struct {
	mu sync.Mutex
	n  map[string]int64 // guarded by mu
}

func (t *tally) add(word string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int64{}
	}
	t.n[word]++
}

func (t *tally) of(word string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n[word]
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for word, n := range t.n {
		parts = append(parts, fmt.Sprintf("%s %d", word, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
