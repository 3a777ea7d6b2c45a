package startup

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Explain adds to an error of a start, in a line of its own, what to do about it, where there is something to say. An address
// that is none is wrong usage. listenFlag and folderFlag are the flags that name the address and the folder, like
// --listen.
func Explain(err error, listenFlag, folderFlag string) error {
	if advice := addressAdvice(err); advice != "" {
		err = fmt.Errorf("%w\n"+advice, err, listenFlag)
		if _, ok := errors.AsType[*net.AddrError](err); ok {
			return Usage(err)
		}
		return err
	}
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w\nthe folder of %s must be one that this user may create files in", err, folderFlag)
	}
	return err
}

// addressAdvice is what to do about an address that cannot be listened on, with a place for the flag; empty if err is
// about something else.
func addressAdvice(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "listen" {
		return ""
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return "%s is HOST:PORT, as 127.0.0.1:8580; port 0 takes a free one"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "%s is HOST:PORT with an address of this machine, as 127.0.0.1:8580: the host is not known"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "something listens there already: %s names another address, with port 0 a free one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "%s must name an address of this machine: 127.0.0.1 for it alone, 0.0.0.0 for all who can reach it"
	case errors.Is(err, os.ErrPermission):
		return "%s: ports below 1024 need privileges; a higher one does not"
	}
	return "%s is HOST:PORT with an address of this machine"
}
