package instance

import "testing"

// A submission repeated while its query runs is answered with the instance as it is at that moment (run with -race).
func TestInstances_repeat_a_submission_that_is_running(t *testing.T) {
	m, _ := newInstances(t)
	task := Task{Query: "select 1", UUID: "u"}
	first := mustSubmit(t, m, task)
	for {
		i := mustSubmit(t, m, task)
		if i.ID != first.ID {
			t.Fatalf("instance %s, want %s", i.ID, first.ID)
		}
		if i.State.Final() {
			break
		}
	}
}
