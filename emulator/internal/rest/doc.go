// Package rest is the metadata half of the embedded endpoint: projects, schemas, tables,
// partitions, resources, functions and instances over HTTP and XML, as the MaxCompute
// clients expect them.
//
// Main types: [Service], the HTTP handler; [Instances], the SQL jobs that clients submit,
// with the results of those that selected rows.
//
//	POST /projects/P/instances ─▶ parse ─▶ DDL: at once ───────────────┐
//	                                  └──▶ SELECT, INSERT: a worker ───┤
//	                                                                   ▼
//	running ──────────────────────────────────────────────▶ terminated: success, failed, cancelled
//	GET …?taskstatus  GET …?result                          result spooled to a file
//
// It answers XML errors with all four children, uses the status codes that the clients
// test for, and writes the headers in the lower case that one client insists on. Paths
// come without the mount prefix. It knows nothing of row data on the wire (package
// tunnel) nor of signatures (package auth).
package rest
