package sql

import (
	"os"
	"strings"
	"testing"
)

// The page is what users read: a function that it does not name does not exist for them.
func TestFunctions_stand_in_the_documentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for name := range dialect {
		if !strings.HasPrefix(name, "_") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/sql.md does not name function %s", name)
		}
	}
	_, list, _ := strings.Cut(text, "### Refused by name")
	list, _, _ = strings.Cut(list, "\n## ")
	for name := range refused {
		if !strings.Contains(list, "`"+name+"`") {
			t.Errorf("docs/sql.md does not say that function %s is refused", name)
		}
	}
	for name := range strings.FieldsSeq(strings.ReplaceAll(list, "`", " ")) {
		if _, ok := refused[name]; !ok && strings.ToLower(name) == name && strings.Contains(list, "`"+name+"`") {
			t.Errorf("docs/sql.md says that function %s is refused, and it is not", name)
		}
	}
}
