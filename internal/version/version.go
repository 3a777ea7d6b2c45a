// Package version holds what the build says about itself. The Makefile sets the variables with -ldflags.
package version

import (
	"runtime/debug"
	"strings"
)

var (
	// Version is the release, or "dev".
	Version = "dev"
	// Revision is the commit the binary was built from; empty if the build does not know.
	Revision = ""
)

// Text is what --version prints behind the program's name: the release and, if it is known, the commit.
func Text() string { return strings.TrimSpace(Version + " " + Revised()) }

// Revised is Revision, or what the Go tool recorded of the checkout.
func Revised() string {
	if Revision != "" {
		return Revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
