package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
)

//go:embed plan.json
var planText []byte

// plan is what plan.json says about the SDK's tests.
type plan struct {
	Module   string            `json:"module"`
	Project  string            `json:"project"`
	Packages []string          `json:"packages"` // in the order in which they run
	Smoke    string            `json:"smoke"`    // the tests of the small cut, as -run takes them
	Env      []envLine         `json:"env"`
	Schemas  []fixture         `json:"schemas"` // made first
	SQL      []fixture         `json:"sql"`     // run in this order before the first test
	Proxied  map[string]string `json:"proxied"` // tests that compare texts with production's address; test → why
	Edits    []edit            `json:"edits"`   // changes to the copy
	LeftOut  []leftOut         `json:"left_out"`
}

// envLine is a variable that every test gets.
type envLine struct{ Name, Value, Why string }

// fixture is a schema's name or an SQL text.
type fixture struct{ Do, Why string }

// edit replaces the only place of Old in a file.
type edit struct{ File, Old, New, Why string }

// leftOut names a test, or a whole package by `package/*`.
type leftOut struct{ Test, Why string }

// readPlan refuses unknown keys and lines without a reason.
func readPlan(text []byte) (*plan, error) {
	var p plan
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return nil, fmt.Errorf("read plan.json: %w", err)
	}
	var errs []error
	reason := func(what, why string) {
		if why == "" {
			errs = append(errs, fmt.Errorf("plan.json gives no reason for %s", what))
		}
	}
	for _, e := range p.Env {
		reason(e.Name, e.Why)
	}
	for _, f := range append(p.Schemas, p.SQL...) {
		reason(f.Do, f.Why)
	}
	for test, why := range p.Proxied {
		reason(test, why)
	}
	for _, e := range p.Edits {
		reason(e.File, e.Why)
	}
	for _, l := range p.LeftOut {
		reason(l.Test, l.Why)
	}
	return &p, errors.Join(errs...)
}
