// Package demo is `sluice demo`: the whole of Sluice at work on one machine, checked.
//
//	1 `sluice dev` starts, on free ports, as a process of its own
//	2 four worker processes (`sluice table import --slice i`) write flights-200k.arrow as slices of one run; a reader asks
//	  for the table's rows all the time
//	3 each worker holds at a barrier in the middle of its slice. Worker 2 is killed there with SIGKILL; the others go on and
//	  seal. The reader still sees no row. Worker 2 starts again as attempt 2, and the run commits by itself
//	4 a second table takes birdstrikes.csv: text, dates, numbers, missing values
//	5 both tables are exported and compared with their files: row count, and a checksum that does not depend on order
//
// Run fails if anything differs from that, so its exit code is a test.
package demo
