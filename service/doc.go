// Package service is the door of Sluice's service: a Config, New, and (*Server).Run.
//
// It wires the pieces together and decides nothing itself. The server reaches data only through the MaxCompute protocol
// at Config.MaxCompute.Endpoint; whether that is production or the embedded endpoint, nothing here knows.
//
//	New  ── check config ─▶ open ledger ─▶ engines ─▶ gRPC server ─▶ listen
//	Run  ── serve ─▶ ctx ends ─▶ health off ─▶ go_away ─▶ Grace ─▶ cut ─▶ close ledger
package service
