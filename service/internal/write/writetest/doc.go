// Package writetest has the fakes that package write is tested with: a Backend and a Ledger in memory whose every call
// can fail without effect, fail after its effect (a lost reply), or stay in flight and land later, and rows that carry
// their origin, so that what was published can be compared row by row.
//
// A fake is driven by its fault function, which sees each call before it happens. It is not a model of MaxCompute's
// limits; the embedded endpoint is.
package writetest
