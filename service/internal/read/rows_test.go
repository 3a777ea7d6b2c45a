package read

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

func TestTR_31_stream_ends_with_OK_after_the_last_row(t *testing.T) {
	for _, counts := range [][]int64{{10}, {0}, {3, 0, 5}, {1, 1, 1, 1}} {
		f := newFake(t, counts...)
		e := newEngine(t, f)
		s := session(t, e, f)
		var total int64
		for _, n := range counts {
			total += n
		}
		var c collector
		if err := e.Rows(t.Context(), RowsRequest{Token: s.Token, Options: rowsOptions()}, &c); err != nil {
			t.Fatalf("%v: Rows = %v, want OK", counts, err)
		}
		if diff := cmp.Diff(count(0, total), c.ids(t)); diff != "" {
			t.Errorf("%v: rows: %s", counts, diff)
		}
		if c.opened.Rows != total || c.next != total || s.Rows != total {
			t.Errorf("%v: opened says %d rows, the last message %d, the session %d", counts, c.opened.Rows, c.next, s.Rows)
		}
	}
}

func TestTR_32_resume_goes_on_at_the_row_after_the_last_received(t *testing.T) {
	f := newFake(t, 10)
	e := newEngine(t, f)
	s := session(t, e, f)
	first := collector{stop: 2} // 2 messages of 2 rows, then the stream is dropped
	if err := e.Rows(t.Context(), RowsRequest{Token: s.Token, Options: rowsOptions()}, &first); !errors.Is(err, errStopped) {
		t.Fatalf("Rows = %v, want the sink's error", err)
	}
	if diff := cmp.Diff(count(0, 4), first.ids(t)); diff != "" || first.next != 4 {
		t.Fatalf("before the drop: next_skip_rows %d, %s", first.next, diff)
	}
	second := collector{}
	if err := e.Rows(t.Context(), RowsRequest{Token: s.Token, SkipRows: first.next, Options: rowsOptions()}, &second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(count(4, 10), second.ids(t)); diff != "" {
		t.Errorf("after the resume: %s", diff)
	}
	if second.next != 10 || second.opened.Rows != 6 {
		t.Errorf("resumed call: next_skip_rows %d, opened %d rows", second.next, second.opened.Rows)
	}
}

// Any way of dropping and resuming a read of any ranges gives exactly their rows, in order.
func TestTR_32_resume_at_random_points_of_random_ranges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		counts := make([]int64, 2+r.IntN(4))
		for i := range counts {
			counts[i] = r.Int64N(9)
		}
		f := newFake(t, counts...)
		e := newEngine(t, f)
		s := session(t, e, f)
		var ranges []table.RowRange
		var want []int64
		for range r.IntN(5) {
			a := r.Int64N(s.Rows + 1)
			b := a + r.Int64N(s.Rows-a+1)
			ranges = append(ranges, table.RowRange{Start: a, End: b})
			want = append(want, count(a, b)...)
		}
		if ranges == nil {
			want = count(0, s.Rows)
		}
		var got []int64
		var skip int64
		for {
			c := collector{stop: r.IntN(3)}
			err := e.Rows(t.Context(), RowsRequest{Token: s.Token, Ranges: ranges, SkipRows: skip, Options: rowsOptions()}, &c)
			got = append(got, c.ids(t)...)
			for i, first := range c.firsts {
				p := s.Partitions[c.parts[i]].Range
				if first < p.Start || first+int64(c.lens[i]) > p.End {
					t.Errorf("rows [%d, +%d) are said to be of partition %d = %v", first, c.lens[i], c.parts[i], p)
				}
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
			skip = c.next
		}
		if !slices.Equal(got, want) {
			t.Fatalf("counts %v ranges %v: got %v, want %v", counts, ranges, got, want)
		}
	}
}

var (
	errCut = errors.New("connection reset by peer")
	err5xx = apierr.New(apierr.BackendUnavailable, "503 from the tunnel")
)

// Whatever breaks once is met inside: the client gets each row once.
func TestUpstreamFaultsAreMetByResuming(t *testing.T) {
	for name, ft := range map[string]fault{
		"refused before":         {open: err5xx},
		"throttled":              {open: apierr.New(apierr.Throttled, "429")},
		"unclassified before":    {open: errCut},
		"cut at once":            {cut: errCut},
		"cut in the middle":      {after: 1, cut: errCut},
		"5xx in the middle":      {after: 2, cut: err5xx},
		"damaged":                {after: 1, cut: apierr.New(apierr.ChecksumMismatch, "crc")},
		"short at once":          {short: true},
		"short in the middle":    {after: 2, short: true},
		"wrong row count":        {announce: 1},
		"garbage":                {after: 1, garbage: true},
		"surplus":                {after: 99, surplus: true},
		"no trailer":             {after: 99, trailer: errCut},
		"upstream's own timeout": {after: 1, cut: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 11)
			f.faults = []fault{ft, {after: 1 << 30}, ft}
			e := newEngine(t, f)
			var c collector
			if err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c); err != nil {
				t.Fatalf("Rows = %v, want OK", err)
			}
			if diff := cmp.Diff(count(0, 11), c.ids(t)); diff != "" {
				t.Error(diff)
			}
			if len(f.reads) != 2 {
				t.Errorf("%d upstream reads, want 2", len(f.reads))
			}
			if ft.after == 1 && f.reads[1].Range.Start != testStep {
				t.Errorf("asked again from row %d, want %d", f.reads[1].Range.Start, testStep)
			}
		})
	}
}

// Tries are counted for one row position: an upstream that breaks off often, but each time a little further, is read.
func TestProgressGivesNewTries(t *testing.T) {
	f := newFake(t, 40)
	for range 9 {
		f.faults = append(f.faults, fault{after: 1, cut: errCut}, fault{open: err5xx})
	}
	e := newEngine(t, f)
	var c collector
	if err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c); err != nil {
		t.Fatalf("Rows = %v with 3 tries for each position, want OK", err)
	}
	if diff := cmp.Diff(count(0, 40), c.ids(t)); diff != "" {
		t.Error(diff)
	}
}

// What does not go away ends the stream with retry=resume after the tries, with all rows before it sent.
func TestLastingFaultEndsTheStreamForResume(t *testing.T) {
	for name, ft := range map[string]fault{
		"refused":     {open: err5xx},
		"cut":         {cut: errCut},
		"short":       {short: true},
		"wrong count": {announce: -1},
		"garbage":     {garbage: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 11)
			f.faults, f.always = []fault{{after: 2, cut: errCut}}, &ft
			e := newEngine(t, f)
			var c collector
			err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c)
			var ae *apierr.Error
			if !errors.As(err, &ae) || ae.Reason() != apierr.BackendUnavailable || ae.Meta("retry") != "resume" {
				t.Fatalf("Rows = %v, want BACKEND_UNAVAILABLE with retry=resume", err)
			}
			if diff := cmp.Diff(count(0, 2*testStep), c.ids(t)); diff != "" || c.next != 2*testStep {
				t.Errorf("before the end: next_skip_rows %d, %s", c.next, diff)
			}
			if len(f.reads) != 3 { // the one with progress and two that had none
				t.Errorf("%d upstream reads, want 3", len(f.reads))
			}
		})
	}
}

func TestFinalErrorsAreNotRepeated(t *testing.T) {
	for _, reason := range []apierr.Reason{apierr.SessionExpired, apierr.Permission, apierr.TableNotFound} {
		f := newFake(t, 11)
		f.faults = []fault{{after: 1, cut: apierr.New(reason, "no")}}
		e := newEngine(t, f)
		var c collector
		err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c)
		if !apierr.Is(err, reason) || len(f.reads) != 1 {
			t.Errorf("Rows = %v after %d reads, want %v after 1", err, len(f.reads), reason)
		}
		if diff := cmp.Diff(count(0, testStep), c.ids(t)); diff != "" {
			t.Errorf("rows before the error: %s", diff)
		}
	}
}

func TestSeekOutsideAndBadNumbers(t *testing.T) {
	f := newFake(t, 10)
	e := newEngine(t, f)
	tok := session(t, e, f).Token
	ranges := func(r ...table.RowRange) []table.RowRange { return r }
	for name, c := range map[string]struct {
		req  RowsRequest
		want apierr.Reason
	}{
		"TR-25 skip beyond":   {RowsRequest{Token: tok, SkipRows: 11}, apierr.SeekOutOfRange},
		"TR-25 negative skip": {RowsRequest{Token: tok, SkipRows: -1}, apierr.SeekOutOfRange},
		"skip in ranges":      {RowsRequest{Token: tok, Ranges: ranges(table.RowRange{Start: 2, End: 5}), SkipRows: 4}, apierr.SeekOutOfRange},
		"range beyond":        {RowsRequest{Token: tok, Ranges: ranges(table.RowRange{Start: 2, End: 11})}, apierr.SeekOutOfRange},
		"range before":        {RowsRequest{Token: tok, Ranges: ranges(table.RowRange{Start: -1, End: 2})}, apierr.SeekOutOfRange},
		"range reversed":      {RowsRequest{Token: tok, Ranges: ranges(table.RowRange{Start: 3, End: 2})}, apierr.BadArgument},
		"too many ranges":     {RowsRequest{Token: tok, Ranges: make([]table.RowRange, 1025)}, apierr.BadArgument},
		"negative limit":      {RowsRequest{Token: tok, RowLimit: -1}, apierr.BadArgument},
		"negative bytes":      {RowsRequest{Token: tok, Options: batch.OutOptions{MaxMessageBytes: -1}}, apierr.BadArgument},
		"no source":           {RowsRequest{}, apierr.BadArgument},
		"two sources":         {RowsRequest{Token: tok, Spec: &Spec{Table: f.info.Name}}, apierr.BadArgument},
		"plan with a spec":    {RowsRequest{Spec: &Spec{Table: f.info.Name, Plan: &Plan{StreamCount: 2}}}, apierr.BadArgument},
		"TR-33 other token":   {RowsRequest{Token: "r1.xxxx"}, apierr.SessionExpired},
	} {
		var sink collector
		if err := e.Rows(t.Context(), c.req, &sink); !apierr.Is(err, c.want) || sink.opened != nil {
			t.Errorf("%s: Rows = %v (opened %v), want %v and no opened", name, err, sink.opened != nil, c.want)
		}
	}
	var sink collector
	if err := e.Rows(t.Context(), RowsRequest{Token: tok, SkipRows: 10}, &sink); err != nil || sink.opened == nil || len(sink.lens) != 0 {
		t.Errorf("skip to the end: %v, %d messages, want opened and OK", err, len(sink.lens))
	}
}

func TestRowLimitCountsAfterTheSkip(t *testing.T) {
	f := newFake(t, 10)
	e := newEngine(t, f)
	var c collector
	req := RowsRequest{Token: session(t, e, f).Token, SkipRows: 3, RowLimit: 4, Options: rowsOptions()}
	if err := e.Rows(t.Context(), req, &c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(count(3, 7), c.ids(t)); diff != "" || c.opened.Rows != 4 {
		t.Errorf("opened %d rows, %s", c.opened.Rows, diff)
	}
	if last := f.reads[len(f.reads)-1].Range; last != (table.RowRange{Start: 3, End: 7}) {
		t.Errorf("asked upstream for %v, want only the rows needed", last)
	}
}

func TestSpecReadsItsSliceInOneCall(t *testing.T) {
	f := newFake(t, 10)
	e := newEngine(t, f)
	var c collector
	req := RowsRequest{Spec: &Spec{Table: f.info.Name, Columns: []string{"NAME", "id"}, Plan: &Plan{Slice: &SlicePlan{1, 3}}}, Options: rowsOptions()}
	if err := e.Rows(t.Context(), req, &c); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"n4", "4"}, {"n5", "5"}, {"n6", "6"}}
	if diff := cmp.Diff(want, c.rows); diff != "" {
		t.Error(diff)
	}
	if c.opened.Session.Token == "" {
		t.Error("no token to resume with")
	}
	if diff := cmp.Diff([]string{"id", "name"}, f.reads[0].Columns); diff != "" {
		t.Errorf("columns were not asked for in table order: %s", diff)
	}
}

func TestPartitionColumnsAreAddedAndMayStandAlone(t *testing.T) {
	f := newFake(t, 2, 1)
	e := newEngine(t, f)
	for _, c := range []struct {
		columns []string
		want    [][]string
	}{
		{[]string{"dt", "id"}, [][]string{{"0000", "0"}, {"0000", "1"}, {"0001", "2"}}},
		{[]string{"DT"}, [][]string{{"0000"}, {"0000"}, {"0001"}}},
	} {
		var sink collector
		req := RowsRequest{Spec: &Spec{Table: f.info.Name, Columns: c.columns}, Options: rowsOptions()}
		if err := e.Rows(t.Context(), req, &sink); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, sink.rows); diff != "" {
			t.Errorf("%v: %s", c.columns, diff)
		}
	}
	for _, target := range f.reads {
		if len(target.Columns) == 0 {
			t.Error("asked upstream for no columns")
		}
	}
}

// A silent upstream: every 15 seconds a message without rows; what was gathered leaves first.
func TestSignsOfLifeWhileUpstreamIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3*testStep)
		f.gate = make(chan struct{})
		e := newEngine(t, f)
		s := session(t, e, f)
		var c collector
		done := make(chan error, 1)
		start := time.Now()
		go func() {
			done <- e.Rows(t.Context(), RowsRequest{Token: s.Token, Options: batch.OutOptions{Format: batch.OutRows}}, &c)
		}()
		f.gate <- struct{}{} // one message of 4 rows, gathered
		time.Sleep(46 * time.Second)
		synctest.Wait()
		if len(c.rows) != testStep || len(c.signs) != 2 {
			t.Errorf("after %v: %d rows and %d signs of life, want 4 and 2", time.Since(start), len(c.rows), len(c.signs))
		}
		close(f.gate)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(count(0, 3*testStep), c.ids(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSignsOfLifeSayThatUpstreamIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.faults = []fault{{open: err5xx}, {open: err5xx}}
		e := newEngine(t, f, func(c *Config) { c.Retry = retry.Policy{First: 40 * time.Second, Max: 40 * time.Second, Tries: 5} })
		var c collector
		if err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.signs) < 2 || c.signs[0] == nil || c.signs[0].Reason != WaitBackendDown || c.signs[0].Waited < 15*time.Second {
			t.Errorf("signs of life: %+v, want some with BACKEND_DOWN", c.signs)
		}
		if diff := cmp.Diff(count(0, 3), c.ids(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// A receiver that stands still stops the reading of the tunnel after the message being sent and two read ahead.
func TestSlowReceiverSlowsTheTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1000)
		f.step = 16
		e := newEngine(t, f)
		s := session(t, e, f)
		block := make(chan struct{})
		c := collector{onSend: func() { <-block }}
		done := make(chan error, 1)
		go func() {
			done <- e.Rows(t.Context(), RowsRequest{Token: s.Token, Options: batch.OutOptions{Format: batch.OutRows, MaxBatchRows: 16}}, &c)
		}()
		synctest.Wait()
		f.mu.Lock()
		served := f.served
		f.mu.Unlock()
		// Rows gather until the next message would exceed the limit, so the first send happens with the second message.
		if served > 4 {
			t.Errorf("%d messages were read from the tunnel while the first was not taken, want at most 4", served)
		}
		close(block)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(count(0, 1000), c.ids(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// Cancelling ends a call that waits upstream, and leaves nothing behind (the fake and goleak look).
func TestCancelEndsAWaitingRead(t *testing.T) {
	f := newFake(t, 100)
	f.gate = make(chan struct{}, 5)
	for range 5 {
		f.gate <- struct{}{}
	}
	e := newEngine(t, f)
	s := session(t, e, f)
	ctx, cancel := context.WithCancel(t.Context())
	c := collector{onSend: cancel}
	err := e.Rows(ctx, RowsRequest{Token: s.Token, Options: rowsOptions()}, &c)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Rows = %v, want cancelled", err)
	}
}

// A column that Arrow does not carry is read as records, which break off and resume like Arrow.
func TestRecordsAreReadWhereArrowCannot(t *testing.T) {
	for name, ft := range map[string]fault{
		"nothing":        {after: 1 << 30},
		"refused before": {open: err5xx},
		"cut":            {after: 150, cut: errCut},
		"short":          {after: 100, short: true},
		"short at once":  {short: true},
		"wrong count":    {after: 1 << 30, announce: 1},
		"no trailer":     {after: 1 << 30, trailer: errCut},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 300)
			f.info.Schema.Columns = append(f.info.Schema.Columns, table.Column{Name: "span", Type: table.MustParseType("interval_day_time")})
			f.faults = []fault{ft}
			e := newEngine(t, f)
			var c collector
			req := RowsRequest{Token: session(t, e, f).Token, Options: batch.OutOptions{Format: batch.OutRows}}
			if err := e.Rows(t.Context(), req, &c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(count(0, 300), c.ids(t)); diff != "" {
				t.Error(diff)
			}
			if ft.after == 150 && f.reads[1].Range.Start == 0 {
				t.Error("the rows before the cut were asked for again")
			}
		})
	}
}

// A backend that cannot give rows as Arrow is asked for records from the row it had reached, not counted as a failure.
func TestArrowRefusedIsReadAsRecords(t *testing.T) {
	refused := fmt.Errorf("timestamp: %w", ErrArrowRefused)
	for name, ft := range map[string]fault{"at the start": {open: refused}, "in the middle": {after: 2, cut: refused}} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 11)
			f.faults = []fault{ft}
			e := newEngine(t, f, func(c *Config) { c.Retry.Tries = 1 })
			var c collector
			if err := e.Rows(t.Context(), RowsRequest{Token: session(t, e, f).Token, Options: rowsOptions()}, &c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(count(0, 11), c.ids(t)); diff != "" {
				t.Error(diff)
			}
			if got := f.reads[1].Range.Start; got != int64(ft.after)*testStep {
				t.Errorf("records were asked for from row %d, want %d", got, ft.after*testStep)
			}
		})
	}
}

// A timestamp beyond nanoseconds, whether upstream says so or only breaks off, is found in the records and named.
func TestTimestampBeyondNanosecondsIsNamed(t *testing.T) {
	for name, ft := range map[string]fault{"refused": {open: fmt.Errorf("range: %w", ErrArrowRefused)}, "cut": {cut: errCut}} {
		f := newFake(t, 400)
		f.info.Schema.Columns = append(f.info.Schema.Columns, table.Column{Name: "at", Type: table.MustParseType("timestamp")})
		f.arrow = &ft
		e := newEngine(t, f)
		tok := session(t, e, f).Token
		var c collector
		err := e.Rows(t.Context(), RowsRequest{Token: tok}, &c)
		var ae *apierr.Error
		if !errors.As(err, &ae) || ae.Reason() != apierr.TypeMismatch || ae.Meta("row") != "293" || ae.Meta("column") != "at" {
			t.Errorf("%s: Rows = %v, want TYPE_MISMATCH of row 293 column at", name, err)
		}
		if c.next != 293 {
			t.Errorf("%s: next_skip_rows %d, want all rows before the bad one", name, c.next)
		}
		for _, ts := range []batch.ArrowTimestamp{batch.TimestampMicros, batch.TimestampStruct} {
			if err := e.Rows(t.Context(), RowsRequest{Token: tok, Options: batch.OutOptions{ArrowTimestamp: ts}}, &c); err != nil || c.next != 400 {
				t.Errorf("%s: timestamp form %d: %v after %d rows", name, ts, err, c.next)
			}
		}
	}
}
