package emulator

import (
	"net/http"

	"github.com/sluice-io/sluice/emulator/internal/rest"
)

func (s *Server) newTunnel() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeTunnelError(w, r, &rest.Error{Status: http.StatusNotFound, Code: "NoSuchPath", Message: "not served"})
	})
}
