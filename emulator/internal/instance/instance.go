package instance

import (
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// State is where an instance stands.
type State int

// The states; the last three are final.
const (
	Waiting State = iota
	Running
	Succeeded
	Failed
	Cancelled
)

// TaskStatus is the state in a client's words.
func (s State) TaskStatus() string {
	return [...]string{"Waiting", "Running", "Success", "Failed", "Cancelled"}[s]
}

// Status is the state of the instance around the task.
func (s State) Status() string {
	if s.Final() {
		return "Terminated"
	}
	return "Running"
}

// Final tells whether the state is one of the last three.
func (s State) Final() bool { return s >= Succeeded }

// Owner is the name under which everything belongs to somebody.
const Owner = "ALIYUN$local"

// OwnerOf is whom a table or view belongs to: whoever CHANGEOWNER named, or Owner.
func OwnerOf(t store.Table) string {
	if t.Owner == "" {
		return Owner
	}
	return t.Owner
}

// Property is a setting of a task, as a client writes it.
type Property struct{ Name, Value string }

// Task is what a client submits.
type Task struct {
	// Job and GUID are the client's own names for the job; may be empty.
	Job, GUID string
	Name      string
	Query     string
	UUID      string // makes a repeated submission the same instance; may be empty
	// Properties as submitted; Settings are what one of them holds.
	Properties []Property
	Settings   map[string]string
	Priority   int
	// Interactive says that the task came through the interactive service (MaxQA).
	Interactive bool
	// Kind is one of the constants below; empty means KindSQL, and an Instance's is never empty.
	Kind string
}

// The types of tasks in a client's words: run a script, only tell what it would read, or
// how it would run.
const (
	KindSQL  = "SQL"
	KindCost = "SQLCost"
	KindPlan = "SQLPlan"
)

// Instance is one submitted task; a value, as it was when asked for.
type Instance struct {
	ID      string
	Project string
	Task    Task
	State   State
	// Text is the failure's message, or what a statement that shows something said.
	Text    string
	Started time.Time
	Ended   time.Time // zero until the state is final
	// Result is what a successful SELECT gave, else nil. It lives as long as the Registry.
	Result *Result
	Stats  Stats

	// Number counts submissions: a later one has a larger.
	Number uint64

	seen time.Time // when this value was taken
}

// Elapsed is how long an instance has been running.
func (i Instance) Elapsed() time.Duration {
	if !i.State.Final() {
		return i.seen.Sub(i.Started)
	}
	return i.Ended.Sub(i.Started)
}
