package write

import "context"

// Drive carries a run on and waits for it, as a sweep does.
func (e *Engine) Drive(ctx context.Context, id RunID) error { return e.drive(ctx, id) }

// Rule switches one rule of design.md 3 off in an engine, by name.
func (e *Engine) Rule(name string) {
	r := map[string]*bool{
		"buryListedOnly": &e.rules.buryListedOnly, "fenceByAttempt": &e.rules.fenceByAttempt, "ignoreContiguity": &e.rules.ignoreContiguity,
		"ignoreRunState": &e.rules.ignoreRunState, "abortAnytime": &e.rules.abortAnytime, "refusalIsFailure": &e.rules.refusalIsFailure,
		"unknownIsFailure": &e.rules.unknownIsFailure, "resumeIsReopen": &e.rules.resumeIsReopen, "ignoreTry": &e.rules.ignoreTry,
		"reuseIDs": &e.rules.reuseIDs, "overwriteAliens": &e.rules.overwriteAliens, "buryCurrentTerm": &e.rules.buryCurrentTerm,
		"expiryDiscards": &e.rules.expiryDiscards, "tombstoneAsData": &e.rules.tombstoneAsData, "skipListCheck": &e.rules.skipListCheck,
		"freeLockEarly": &e.rules.freeLockEarly, "leaseRunsWhileBusy": &e.rules.leaseRunsWhileBusy, "expireWithoutDoor": &e.rules.expireWithoutDoor,
	}[name]
	if r == nil {
		panic("no rule " + name)
	}
	*r = true
}

// Spawned is how many background tasks run.
func (e *Engine) Spawned() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.cancels)
}
