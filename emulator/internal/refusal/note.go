package refusal

import "context"

type noteKey struct{}

// Noted returns a context in which [Note] leaves a request's refusal, for its log line. The status is 0 as long as
// nothing was refused. Read it when the request's handlers have returned.
func Noted(ctx context.Context) (context.Context, *Error) {
	note := &Error{}
	return context.WithValue(ctx, noteKey{}, note), note
}

// Note tells whoever made ctx with [Noted] how a request is refused. Everything that answers with an error calls it.
func Note(ctx context.Context, status int, code, message string) {
	if note, ok := ctx.Value(noteKey{}).(*Error); ok {
		*note = Error{Status: status, Code: code, Message: message}
	}
}
