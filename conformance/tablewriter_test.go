package conformance

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

var (
	apple = row{25, "Apple", 5.0, false}
	pear  = row{38, "Pear", 4.5, false}
	melon = row{17, "Watermelon", 2.2, false}
	old   = row{1, "old", 1.0, true}
	older = row{2, "older", 2.0, true}
)

func (s *stack) wantRows(t *testing.T, path string, want ...row) {
	t.Helper()
	got := s.visible(t, path)
	slices.Sort(got)
	expect := texts(want...)
	slices.Sort(expect)
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("visible rows of %s differ (-want +got):\n%s", path, diff)
	}
}

func TestTW_01_basic_write(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(apple, pear, melon)
	if ack := w.accepted(3); ack.GetAcceptedThrough() != 3 {
		t.Errorf("accepted %d rows, want 3", ack.GetAcceptedThrough())
	}
	w.seal()
	s.wantRows(t, path, apple, pear, melon)
}

func TestTW_02_open_reserves_the_slice(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	s.open(t, inRun("r", path, 0))
	wantReason(t, s.refused(t, inRun("r", path, 0)), sluicev1.Reason_REASON_SLICE_CONFLICT)
}

func TestTW_03_not_predefined(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	other := s.table(t, "test", []string{"uid bigint"}, nil)
	s.fill(t, other, row{1})
	s.run(t, "r", path, 1, nil)
	e := wantReason(t, s.refused(t, inRun("r", other, 0)), sluicev1.Reason_REASON_TABLE_NOT_PREDEFINED)
	if want := "table odps://" + project + "/tables/test not predefined"; !strings.Contains(e.GetMessage(), want) {
		t.Errorf("message %q, want it to contain %q", e.GetMessage(), want)
	}
	s.wantRows(t, other, row{1})
}

func TestTW_04_not_predefined_hides_existence(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.table(t, "there", []string{"uid bigint"}, nil)
	s.run(t, "r", path, 1, nil)
	there := wantReason(t, s.refused(t, inRun("r", "odps://local/tables/there", 0)), sluicev1.Reason_REASON_TABLE_NOT_PREDEFINED)
	gone := wantReason(t, s.refused(t, inRun("r", "odps://local/tables/gone", 0)), sluicev1.Reason_REASON_TABLE_NOT_PREDEFINED)
	if strings.ReplaceAll(there.GetMessage(), "there", "X") != strings.ReplaceAll(gone.GetMessage(), "gone", "X") {
		t.Errorf("messages differ by more than the name: %q, %q", there.GetMessage(), gone.GetMessage())
	}
}

func TestTW_05_outputs_are_compared_in_canonical_form(t *testing.T) {
	s := newStack(t)
	s.testWrite(t)
	s.run(t, "r", "odps://LOCAL/tables/Test_Write", 1, nil)
	w := s.open(t, inRun("r", "odps://local/tables/test_write", 0))
	w.write(apple)
	w.seal()
	s.wantRows(t, "odps://local/tables/TEST_WRITE", apple)
}

func TestTW_06_declared_partition_must_match(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"pt string"})
	s.run(t, "r", path+"/pt=1", 1, nil)
	wantReason(t, s.refused(t, inRun("r", path+"/pt=2", 0)), sluicev1.Reason_REASON_TABLE_NOT_PREDEFINED)
	s.open(t, inRun("r", path+"/PT=1", 0)).abort()
}

func TestTW_07_open_clears_at_commit(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old, older)
	w := s.open(t, implicit(path))
	w.write(apple)
	w.seal()
	s.wantRows(t, path, apple)
}

func TestTW_08_open_and_close_without_rows_empties(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	s.open(t, implicit(path)).seal()
	s.wantRows(t, path)
}

func TestTW_09_reopen_in_a_new_run_clears(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, apple)
	s.fill(t, path, pear)
	s.wantRows(t, path, pear)
}

func TestTW_10_old_rows_until_commit(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	w := s.open(t, implicit(path))
	w.write(apple)
	w.flush()
	s.wantRows(t, path, old)
	w.seal()
	s.wantRows(t, path, apple)
}

func atOpen() *sluicev1.OutputOptions {
	return &sluicev1.OutputOptions{Clear: sluicev1.Clear_CLEAR_AT_OPEN}
}

func TestTW_11_literal_clearing_empties_at_open(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	open := implicit(path)
	open.Implicit = atOpen()
	w := s.open(t, open)
	s.wantRows(t, path)
	w.write(apple)
	w.seal()
	s.wantRows(t, path, apple)
}

func TestTW_12_abort_keeps_old_rows(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	w := s.open(t, implicit(path))
	w.write(apple)
	w.flush()
	w.abort()
	s.wantRows(t, path, old)
}

func TestTW_13_abort_after_literal_clearing_leaves_nothing(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	open := implicit(path)
	open.Implicit = atOpen()
	w := s.open(t, open)
	w.write(apple)
	w.abort()
	s.wantRows(t, path)
}

func TestTW_14_flushed_rows_are_invisible(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(apple)
	if durable := w.flush(); durable != 1 {
		t.Fatalf("flush made %d rows durable, want 1", durable)
	}
	s.wantRows(t, path)
	w.abort()
}

func TestTW_15_TW_16_visible_only_when_all_slices_are_sealed(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	second := s.open(t, inRun("r", path, 1))
	first := s.open(t, inRun("r", path, 0))
	first.write(apple)
	if run := first.seal(); run != nil {
		t.Fatalf("the first of two seals completed the run: %v", run)
	}
	s.wantRows(t, path)
	second.write(pear)
	if run := second.seal(); run == nil {
		t.Fatal("the last seal did not complete the run")
	}
	s.wantRows(t, path, apple, pear)
}

func TestTW_17_no_partial_union_is_ever_seen(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"slice bigint", "n bigint"}, nil)
	const rowsPerSlice = 10000
	s.fill(t, path, row{9, 9})
	s.run(t, "r", path, 2, nil)
	writers := []*slice{s.open(t, inRun("r", path, 0)), s.open(t, inRun("r", path, 1))}
	for id, w := range writers {
		for from := 0; from < rowsPerSlice; from += 1000 {
			var batch []row
			for n := from; n < from+1000; n++ {
				batch = append(batch, row{id, n})
			}
			w.write(batch...)
		}
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	observe := func() {
		switch rows, err := s.read(context.Background(), path); {
		case err != nil:
			t.Errorf("poll: %v", err)
		case len(rows) != 1 && len(rows) != 2*rowsPerSlice:
			t.Errorf("an observer saw %d rows, want 1 or %d", len(rows), 2*rowsPerSlice)
		}
	}
	wg.Go(func() {
		for !done.Load() {
			observe()
		}
	})
	for _, w := range writers {
		w.seal()
	}
	done.Store(true)
	wg.Wait()
	if got := len(s.visible(t, path)); got != 2*rowsPerSlice {
		t.Errorf("%d rows in the end, want %d", got, 2*rowsPerSlice)
	}
}

func TestTW_18_the_second_slice_clears_nothing(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	first := s.open(t, inRun("r", path, 0))
	first.write(apple)
	first.seal()
	second := s.open(t, inRun("r", path, 1))
	second.write(pear)
	second.seal()
	s.wantRows(t, path, apple, pear)
}

func TestTW_19_unknown_slice_count_waits_for_CompleteRun(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 0, nil)
	for id, r := range []row{apple, pear} {
		w := s.open(t, inRun("r", path, int32(id)))
		w.write(r)
		w.seal()
	}
	s.wantRows(t, path)
	resp, err := s.runs.CompleteRun(ctxOf(t), &sluicev1.CompleteRunRequest{RunId: "r"})
	if err != nil || resp.GetRun().GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
		t.Fatalf("CompleteRun = %v, %v, want COMMITTED", resp, err)
	}
	s.wantRows(t, path, apple, pear)
}

func TestTW_20_CompleteRun_with_a_missing_slice(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 3, nil)
	for _, id := range []int32{0, 2} {
		w := s.open(t, inRun("r", path, id))
		w.write(apple)
		w.seal()
	}
	_, err := s.runs.CompleteRun(ctxOf(t), &sluicev1.CompleteRunRequest{RunId: "r"})
	e := wantReason(t, err, sluicev1.Reason_REASON_RUN_INCOMPLETE)
	if !strings.Contains(e.GetMetadata()["missing"], "1") {
		t.Errorf("metadata missing = %q, want slice 1", e.GetMetadata()["missing"])
	}
	s.wantRows(t, path)
	w := s.open(t, inRun("r", path, 1))
	w.write(pear)
	w.seal()
	s.wantRows(t, path, apple, apple, pear)
}

func TestTW_21_slice_conflict_leaves_the_holder_alone(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	holder := s.open(t, inRun("r", path, 0))
	e := wantReason(t, s.refused(t, inRun("r", path, 0)), sluicev1.Reason_REASON_SLICE_CONFLICT)
	if e.GetMetadata()["holder_worker_id"] == "" || e.GetMetadata()["holder_attempt"] != "0" {
		t.Errorf("metadata %v does not name the holder", e.GetMetadata())
	}
	holder.write(apple)
	holder.seal()
	s.wantRows(t, path, apple)
}

func TestTW_22_one_of_fifty_racing_opens_wins(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	const racers = 50
	var won, conflicts atomic.Int64
	var wg sync.WaitGroup
	streams := make([]*slice, racers)
	for i := range streams {
		streams[i] = s.dial(t, inRun("r", path, 0))
	}
	for _, w := range streams {
		wg.Go(func() {
			msg, err := w.stream.Recv()
			switch {
			case err == nil && msg.GetOpened() != nil:
				won.Add(1)
			case reasonOf(err) == sluicev1.Reason_REASON_SLICE_CONFLICT:
				conflicts.Add(1)
			default:
				t.Errorf("open = %v, %v", msg, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || conflicts.Load() != racers-1 {
		t.Errorf("%d opens won and %d conflicted, want 1 and %d", won.Load(), conflicts.Load(), racers-1)
	}
}

func TestTW_23_conflict_with_a_sealed_slice(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	w := s.open(t, inRun("r", path, 0))
	w.write(apple)
	w.seal()
	wantReason(t, s.refused(t, inRun("r", path, 0)), sluicev1.Reason_REASON_SLICE_CONFLICT)
}

func attempt(open *sluicev1.SliceOpen, n int64) *sluicev1.SliceOpen {
	open.Attempt = n
	return open
}

func TestTW_25_TW_26_restart_takes_over_and_fences(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	other := s.open(t, inRun("r", path, 1))
	other.write(melon)
	other.seal()
	before := s.open(t, attempt(inRun("r", path, 0), 1))
	before.write(apple)
	before.flush()
	after := s.open(t, attempt(inRun("r", path, 0), 2))
	if after.opened.GetDiscardedRows() != 1 || after.opened.GetResumeOffset() != 0 {
		t.Errorf("opened = %v, want 1 row discarded and offset 0", after.opened)
	}
	before.write(apple)
	e := wantReason(t, before.failure(), sluicev1.Reason_REASON_SLICE_FENCED)
	if e.GetMetadata()["winner_attempt"] != "2" {
		t.Errorf("metadata %v does not name the winner", e.GetMetadata())
	}
	after.write(pear)
	after.seal()
	s.wantRows(t, path, pear, melon)
}

func TestTW_26_a_fenced_writer_cannot_seal_or_come_back(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	open := attempt(inRun("r", path, 0), 1)
	before := s.open(t, open)
	before.write(apple)
	after := s.open(t, attempt(inRun("r", path, 0), 2))
	before.sendSeal()
	wantReason(t, before.failure(), sluicev1.Reason_REASON_SLICE_FENCED)
	open.OpenNumber++
	wantReason(t, s.refused(t, open), sluicev1.Reason_REASON_SLICE_FENCED)
	after.write(pear)
	after.seal()
	s.wantRows(t, path, pear)
}

func TestTW_26_an_idle_fenced_stream_ends_at_once(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	before := s.open(t, attempt(inRun("r", path, 0), 1))
	s.open(t, attempt(inRun("r", path, 0), 2))
	wantReason(t, before.failure(), sluicev1.Reason_REASON_SLICE_FENCED) // without sending anything
}

func TestTW_27_older_attempt_is_refused(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	s.open(t, attempt(inRun("r", path, 0), 2))
	wantReason(t, s.refused(t, attempt(inRun("r", path, 0), 1)), sluicev1.Reason_REASON_SLICE_FENCED)
}

func TestTW_28_other_slices_survive_a_restart(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	other := s.open(t, inRun("r", path, 1))
	other.write(melon)
	other.seal()
	s.open(t, attempt(inRun("r", path, 0), 1)).write(apple)
	after := s.open(t, attempt(inRun("r", path, 0), 2))
	after.write(pear)
	after.seal()
	s.wantRows(t, path, pear, melon)
}

func TestTW_31_a_lost_worker_frees_its_slice(t *testing.T) {
	t.Parallel() // it waits for a lease to run out
	s := newStack(t)
	path := s.testWrite(t)
	_, err := s.runs.CreateRun(ctxOf(t), &sluicev1.CreateRunRequest{
		RunId: "r", LeaseTtl: durationpb.New(10 * time.Second), // the shortest there is
		Outputs: []*sluicev1.OutputSpec{{Table: &sluicev1.TableRef{Path: path}, SliceCount: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := s.open(t, inRun("r", path, 0))
	w.write(apple)
	w.flush()
	w.cancel()
	s.untilState(t, "r", sluicev1.SliceState_SLICE_STATE_LOST)
	again := s.open(t, inRun("r", path, 0)) // equal attempt, another worker
	again.write(pear)
	again.seal()
	s.wantRows(t, path, pear)
}

func TestTW_32_a_short_disconnect_resumes(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple)
	w.flush()
	w.write(pear)
	w.accepted(2)
	w.cancel()
	open.OpenNumber, open.DurableSeen = 2, 1
	w = s.open(t, open)
	if w.opened.GetResumeOffset() != 1 {
		t.Fatalf("resume_offset = %d, want 1", w.opened.GetResumeOffset())
	}
	w.write(pear)
	w.seal()
	s.wantRows(t, path, apple, pear)
}

func TestTW_33_a_replayed_batch_counts_once(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(old, older)
	w.writeAt(0, old, older)
	ack := w.accepted(2)
	for ack.GetDuplicateRows() == 0 {
		ack = w.accepted(2)
	}
	if ack.GetDuplicateRows() != 2 {
		t.Errorf("duplicate_rows = %d, want 2", ack.GetDuplicateRows())
	}
	w.write(apple)
	w.seal()
	s.wantRows(t, path, old, older, apple)
}

func TestTW_33_offsets_that_do_not_continue_are_rejected(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(old, older)
	w.writeAt(5, apple)
	if r := w.rejected(); r.GetError().GetReason() != sluicev1.Reason_REASON_OFFSET_GAP || r.GetExpectedOffset() != 2 || r.GetBatchId() != 2 {
		t.Errorf("rejected = %v, want OFFSET_GAP of batch 2, expected offset 2", r)
	}
	w.writeAt(1, apple, pear)
	if r := w.rejected(); r.GetError().GetReason() != sluicev1.Reason_REASON_OFFSET_OVERLAP || r.GetExpectedOffset() != 2 {
		t.Errorf("rejected = %v, want OFFSET_OVERLAP, expected offset 2", r)
	}
	w.write(apple)
	w.seal()
	s.wantRows(t, path, old, older, apple)
}

func TestTW_33_a_replay_that_differs_is_fatal(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(old, older)
	w.writeAt(0, old, pear)
	wantReason(t, w.failure(), sluicev1.Reason_REASON_DATA_MISMATCH)
}

func TestTW_34_server_restart(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple)
	durable := w.flush()
	w.write(pear)
	w.accepted(2)
	w.cancel()
	s.stopService(t)
	s.startService(t)
	open.OpenNumber, open.DurableSeen = 2, durable
	w = s.open(t, open)
	if w.opened.GetResumeOffset() != durable {
		t.Fatalf("resume_offset = %d, want %d", w.opened.GetResumeOffset(), durable)
	}
	w.write(pear)
	w.seal()
	s.wantRows(t, path, apple, pear)
}

func TestTW_35_abnormal_exit_shows_nothing(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	s.run(t, "r", path, 1, nil)
	w := s.open(t, inRun("r", path, 0))
	w.write(apple)
	w.flush()
	w.cancel()
	if _, err := s.runs.AbortRun(ctxOf(t), &sluicev1.AbortRunRequest{RunId: "r"}); err != nil {
		t.Fatalf("AbortRun: %v", err)
	}
	s.wantRows(t, path, old)
}

func TestTW_36_cancel_and_half_close_never_seal(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple)
	w.accepted(1)
	w.cancel()
	s.wantState(t, "r", sluicev1.SliceState_SLICE_STATE_OPEN)
	open.OpenNumber = 2
	w = s.open(t, open)
	w.write(apple)
	if err := w.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	w.ended()
	s.wantState(t, "r", sluicev1.SliceState_SLICE_STATE_OPEN)
	s.wantRows(t, path)
}

func TestTW_39_sealing_twice_is_one_seal(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple)
	w.seal()
	open.OpenNumber = 2 // the seal's reply was lost: the writer asks again
	w = s.open(t, open)
	if w.opened.GetState() != sluicev1.SliceState_SLICE_STATE_SEALED {
		t.Fatalf("opened = %v, want SEALED", w.opened)
	}
	msg, err := w.reply()
	if err != nil || msg.GetSealed().GetRows() != 1 {
		t.Fatalf("reply = %v, %v, want sealed with 1 row", msg, err)
	}
	w.ended()
}

func TestTW_40_write_after_close(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple)
	w.seal()
	open.OpenNumber = 2
	_, err := s.rows.AppendRows(ctxOf(t), &sluicev1.AppendRowsRequest{
		Open: open, Batch: &sluicev1.RowBatch{Offset: 1, Payload: listOf([]row{pear})},
	})
	wantReason(t, err, sluicev1.Reason_REASON_WRITER_CLOSED)
}

func TestTW_41_write_after_the_run_committed(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	w := s.open(t, inRun("r", path, 0))
	w.write(apple)
	w.seal()
	e := wantReason(t, s.refused(t, inRun("r", path, 0)), sluicev1.Reason_REASON_RUN_CLOSED)
	if e.GetMetadata()["state"] != "COMMITTED" {
		t.Errorf("metadata %v, want state COMMITTED", e.GetMetadata())
	}
}

func (s *stack) stateOf(t *testing.T, run string) sluicev1.SliceState {
	t.Helper()
	resp, err := s.runs.ListSlices(ctxOf(t), &sluicev1.ListSlicesRequest{RunId: run})
	if err != nil || len(resp.GetSlices()) != 1 {
		t.Fatalf("ListSlices = %v, %v, want one slice", resp, err)
	}
	return resp.GetSlices()[0].GetState()
}

func (s *stack) wantState(t *testing.T, run string, want sluicev1.SliceState) {
	t.Helper()
	if got := s.stateOf(t, run); got != want {
		t.Fatalf("slice state %v, want %v", got, want)
	}
}

// untilState polls until the slice is in the state: leases run on the server's own clock.
func (s *stack) untilState(t *testing.T, run string, want sluicev1.SliceState) {
	t.Helper()
	const limit = 30 * time.Second
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.stateOf(t, run) != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("slice state %v after %v, want %v", s.stateOf(t, run), limit, want)
		}
	}
}
