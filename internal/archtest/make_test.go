package archtest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inner are targets that only other targets call.
var inner = []string{"java-adapter", "out/conformance/matrixgosdk", "out/conformance/matrixsluice"}

// Every target that a developer may call says what it does, in the form that `make help` prints.
func TestMakeHelpListsEveryTarget(t *testing.T) {
	text := ""
	for _, file := range []string{repository + "/Makefile", repository + "/conformance/clients/clients.mk"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	pattern := regexp.MustCompile(`awk -F ':\.\*## ' '/(\^.*?:\.\*## )/ `).FindStringSubmatch(text)
	if pattern == nil {
		t.Fatal("make help is no awk program over the lines with ## any more: mend this test")
	}
	listed := regexp.MustCompile("(?m)" + strings.ReplaceAll(pattern[1], `\/`, "/"))
	var helped []string
	for _, line := range listed.FindAllString(text, -1) {
		name, _, _ := strings.Cut(line, ":")
		helped = append(helped, name)
	}
	targets := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindAllStringSubmatch(text, -1)
	if len(targets) < 20 {
		t.Errorf("only %d targets are found", len(targets))
	}
	for _, target := range targets {
		for name := range strings.FieldsSeq(target[1]) {
			if !slices.Contains(helped, name) && !slices.Contains(inner, name) {
				t.Errorf("make help does not list %s: give it a ##", name)
			}
		}
	}
	for _, name := range []string{"bin/sluice", "conformance-pyodps", "conformance-java", "conformance-go-sdk", "conformance-matrix"} {
		if !slices.Contains(helped, name) {
			t.Errorf("make help does not list %s", name)
		}
	}
}
