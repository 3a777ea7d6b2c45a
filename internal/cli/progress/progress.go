// Package progress shows how far a transfer is: a bar with rows, rate and time left on a terminal, a plain line every few seconds
// elsewhere, nothing if told so.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// lineEvery is the time between two plain lines.
const lineEvery = 5 * time.Second

// Meter counts rows. It is safe for concurrent use. The zero value of *Meter, nil, counts nothing.
type Meter struct {
	mu    sync.Mutex
	out   io.Writer
	label string
	bar   *progressbar.ProgressBar // nil without a terminal
	now   func() time.Time
	start time.Time
	last  time.Time
	rows  int64
	total int64
}

// New starts a meter that writes to out. total is the number of rows to come,
// also an estimated one, -1 if nobody knows. A bar is drawn if out is
// a terminal. now is the clock, time.Now if nil.
func New(out io.Writer, label string, total int64, now func() time.Time) *Meter {
	if now == nil {
		now = time.Now
	}
	m := &Meter{out: out, label: label, total: total, now: now, start: now()}
	m.last = m.start
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		m.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(label),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	}
	return m
}

// Add counts rows.
func (m *Meter) Add(rows int64) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows += rows
	if m.total >= 0 && m.rows > m.total { // it was an estimate
		m.total = m.rows
	}
	if m.bar != nil {
		if m.total > m.bar.GetMax64() {
			m.bar.ChangeMax64(m.total)
		}
		if err := m.bar.Add64(rows); err != nil {
			return fmt.Errorf("draw progress: %w", err)
		}
		return nil
	}
	if now := m.now(); now.Sub(m.last) >= lineEvery {
		m.last = now
		return m.line()
	}
	return nil
}

// Done ends the meter and takes a bar off the screen. What was done is the caller's to say.
func (m *Meter) Done() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar == nil {
		return nil
	}
	if err := m.bar.Finish(); err != nil {
		return fmt.Errorf("draw progress: %w", err)
	}
	return nil
}

func (m *Meter) line() error {
	rate := Rate(m.rows, m.now().Sub(m.start))
	text := fmt.Sprintf("%s: %d rows, %s", m.label, m.rows, rate)
	if m.total > 0 && m.rows > 0 {
		elapsed := m.now().Sub(m.start)
		left := time.Duration(float64(elapsed) * float64(m.total-m.rows) / float64(m.rows))
		text = fmt.Sprintf("%s: %d of %d rows (%d%%), %s, %s left", m.label, m.rows, m.total, 100*m.rows/m.total, rate, left.Round(time.Second))
	}
	if _, err := fmt.Fprintln(m.out, text); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}

// Rate is rows per second, for people.
func Rate(rows int64, elapsed time.Duration) string {
	perSecond := float64(rows) / max(elapsed.Seconds(), 1e-9)
	switch {
	case perSecond >= 1e6:
		return fmt.Sprintf("%.1f million rows/s", perSecond/1e6)
	case perSecond >= 1e4:
		return fmt.Sprintf("%.0f thousand rows/s", perSecond/1e3)
	}
	return fmt.Sprintf("%.0f rows/s", perSecond)
}
