package conformance

import (
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

func TestTW_81_commit_is_retried(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	w := s.open(t, implicit(path))
	w.write(apple, pear)
	s.proxy.breaks(times(2, refuse, isCommit))
	w.seal()
	if got := len(s.proxy.broken()); got != 2 {
		t.Fatalf("%d commits were refused, want 2", got)
	}
	s.wantRows(t, path, apple, pear)
}

func TestTW_82_commit_whose_reply_is_lost(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	s.run(t, "r", path, 1, nil)
	w := s.open(t, inRun("r", path, 0))
	w.write(apple, pear)
	s.proxy.breaks(times(1, lose, isCommit))
	w.seal()
	if got := len(s.proxy.broken()); got != 1 {
		t.Fatalf("%d replies were lost, want 1", got)
	}
	resp, err := s.runs.CompleteRun(ctxOf(t), &sluicev1.CompleteRunRequest{RunId: "r"})
	if err != nil || resp.GetRun().GetOutputs()[0].GetCommittedRows() != 2 {
		t.Fatalf("CompleteRun asked again = %v, %v, want the recorded success", resp, err)
	}
	s.wantRows(t, path, apple, pear)
}

func TestAppendedRowsAreNotDoubledByALostCommitReply(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	open := implicit(path)
	open.Implicit = &sluicev1.OutputOptions{Mode: sluicev1.WriteMode_WRITE_MODE_APPEND}
	w := s.open(t, open)
	w.write(apple)
	s.proxy.breaks(times(1, lose, isCommit))
	w.seal()
	s.wantRows(t, path, old, apple)
}

// A block whose fate is unknown is not lost and not doubled, whichever way it went.
func TestBlockUploadsThatFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fault
	}{{"without effect", refuse}, {"after effect", lose}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStack(t)
			path := s.testWrite(t)
			w := s.open(t, implicit(path))
			w.write(apple)
			s.proxy.breaks(times(1, c.fault, isBlock))
			if durable := w.flush(); durable != 1 { // small blocks are repeated by the server
				t.Fatalf("flush made %d rows durable, want 1", durable)
			}
			w.write(pear)
			w.seal()
			if len(s.proxy.broken()) != 1 {
				t.Fatalf("broken: %v, want one block", s.proxy.broken())
			}
			s.wantRows(t, path, apple, pear)
		})
	}
}

func TestSessionsThatCannotBeMadeAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fault
	}{{"without effect", refuse}, {"after effect", lose}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStack(t)
			path := s.testWrite(t)
			s.proxy.breaks(times(1, c.fault, isSession))
			w := s.open(t, implicit(path))
			w.write(apple)
			w.seal()
			if len(s.proxy.broken()) != 1 {
				t.Fatalf("broken: %v, want one session", s.proxy.broken())
			}
			s.wantRows(t, path, apple)
		})
	}
}
