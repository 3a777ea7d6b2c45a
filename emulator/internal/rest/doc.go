// Package rest is the metadata half of the embedded endpoint: projects, schemas, tables,
// partitions, resources, functions and instances over HTTP and XML, as the MaxCompute
// clients expect them.
//
// Main type: [Service], the HTTP handler.
//
//	request ─▶ route ─▶ store: look up, list, change ──────────────▶ XML, JSON or text
//	              └───▶ instance: submit SQL, ask how it stands ──▶ XML
//
// It answers XML errors with all four children, uses the status codes that the clients
// test for, and writes the headers in the lower case that one client insists on. Paths
// come without the mount prefix. It runs no SQL (package instance), and knows nothing of
// row data on the wire (package tunnel) nor of signatures (package auth).
package rest
