package ddl

import "fmt"

// MaxCompute's numbers for what this package refuses.
const (
	// CodeParse marks text that is no statement of the dialect.
	CodeParse = "ODPS-0130161"
	// CodeUnsupported marks a statement that MaxCompute has and this endpoint has not.
	CodeUnsupported = "ODPS-0130071"
)

// Pos is a place in the source, both counted from 1; Column counts characters.
type Pos struct{ Line, Column int }

// Error is a statement that cannot be read or is not supported here.
type Error struct {
	Code    string // CodeParse or CodeUnsupported
	Pos     Pos
	Message string // what is wrong, without code and place
}

// Error is the text as MaxCompute words it: code, place, message.
func (e *Error) Error() string {
	kind := "Parse exception"
	if e.Code == CodeUnsupported {
		kind = "Semantic analysis exception"
	}
	return fmt.Sprintf("%s:[%d,%d] %s - %s", e.Code, e.Pos.Line, e.Pos.Column, kind, e.Message)
}
