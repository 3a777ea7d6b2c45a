package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// better says which way a figure is good.
type better string

const (
	higher better = "higher"
	lower  better = "lower"
)

// result is one row of the report. Peer and Ratio are missing where there is no peer; then Goal bounds Ours, in Unit,
// otherwise it bounds Ratio. Goal is missing where there is none.
type result struct {
	Name   string   `json:"name"`
	Ours   *float64 `json:"ours"`
	Peer   *float64 `json:"peer"`
	Unit   string   `json:"unit"`
	Ratio  *float64 `json:"ratio"`
	Spread float64  `json:"spread"` // range ÷ median: of the pairs' ratios, or of ours where there is no peer
	Goal   *float64 `json:"goal"`
	Better better   `json:"better"`
}

// compare makes a row from figures of both sides, pair by pair. One side may be empty.
func compare(name, unit string, ours, peer []float64, goal float64, way better) result {
	r := result{Name: name, Unit: unit, Goal: unless0(goal), Better: way}
	if len(ours) > 0 {
		r.Ours, r.Spread = new(median(ours)), spread(ours)
	}
	if len(peer) > 0 {
		r.Peer = new(median(peer))
	}
	if len(ours) > 0 && len(peer) > 0 {
		pairs := ratios(ours, peer)
		r.Ratio, r.Spread = new(median(pairs)), spread(pairs)
	}
	return r
}

// absolute makes a row of figures that have no peer: costs, all of them.
func absolute(name, unit string, ours []float64, goal float64) result {
	return compare(name, unit, ours, nil, goal, lower)
}

func unless0(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

// reached tells whether the goal is met; true where there is none.
func (r result) reached() bool {
	figure := r.Ours
	if r.Ratio != nil {
		figure = r.Ratio
	}
	if r.Goal == nil || figure == nil {
		return true
	}
	if r.Better == higher {
		return *figure >= *r.Goal
	}
	return *figure <= *r.Goal
}

func (r result) goalText() string {
	if r.Goal == nil {
		return ""
	}
	sign, unit := "≥ ", "×"
	if r.Better == lower {
		sign = "≤ "
	}
	if r.Ratio == nil && r.Peer == nil {
		unit = " " + r.Unit
	}
	return sign + number(r.Goal) + unit
}

// number prints three significant digits, and all digits before the point.
func number(v *float64) string {
	switch {
	case v == nil:
		return ""
	case *v >= 100:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	}
	return strconv.FormatFloat(*v, 'g', 3, 64)
}

// printTable prints the rows for people.
func printTable(w io.Writer, rows []result) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"what", "ours", "peer", "unit", "ratio", "spread", "goal", ""})
	right := []table.ColumnConfig{}
	for _, n := range []int{2, 3, 5, 6} {
		right = append(right, table.ColumnConfig{Number: n, Align: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	for _, r := range rows {
		verdict := ""
		if r.Goal != nil {
			verdict = "reached"
		}
		if !r.reached() {
			verdict = "missed"
		}
		t.AppendRow(table.Row{r.Name, number(r.Ours), number(r.Peer), r.Unit, number(r.Ratio), fmt.Sprintf("%.0f %%", 100*r.Spread), r.goalText(), verdict})
	}
	t.Render()
}

// writeJSON writes the rows for machines.
func writeJSON(path string, rows []result) error {
	if rows == nil {
		rows = []result{}
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder of results: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
