package archtest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// payloadNumber is the number of bulk fields and of the fields that hold them (docs/api.md 1).
const payloadNumber = 1000

// apiFiles are the descriptors of the API.
func apiFiles(t *testing.T) []protoreflect.FileDescriptor {
	t.Helper()
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("sluice.v1", func(file protoreflect.FileDescriptor) bool {
		files = append(files, file)
		return true
	})
	if len(files) == 0 {
		t.Fatal("package sluice.v1 has no files")
	}
	return files
}

// each calls f for every element of a descriptor list.
func each[D any](list interface {
	Len() int
	Get(int) D
}, f func(D),
) {
	for i := range list.Len() {
		f(list.Get(i))
	}
}

func eachMessage(t *testing.T, f func(protoreflect.MessageDescriptor)) {
	t.Helper()
	for _, file := range apiFiles(t) {
		each(file.Messages(), f)
	}
}

func TestEveryMethodHasAnAccessRuleAndAnIdempotencyLevel(t *testing.T) {
	for _, file := range apiFiles(t) {
		each(file.Services(), func(service protoreflect.ServiceDescriptor) {
			each(service.Methods(), func(method protoreflect.MethodDescriptor) { checkMethod(t, method) })
		})
	}
}

func checkMethod(t *testing.T, method protoreflect.MethodDescriptor) {
	t.Helper()
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	if !ok || options.IdempotencyLevel == nil {
		t.Errorf("%s has no idempotency level", method.FullName())
	}
	rule, ok := proto.GetExtension(options, sluicev1.E_Access).(*sluicev1.MethodAccess)
	if !ok || rule.GetVerb() == sluicev1.Verb_VERB_UNSPECIFIED || rule.GetObject() == sluicev1.ObjectKind_OBJECT_KIND_UNSPECIFIED {
		t.Errorf("%s has the access rule %v", method.FullName(), rule)
	}
	for path := range strings.SplitSeq(rule.GetField(), "|") {
		if path != "" && !hasPath(method.Input(), path) {
			t.Errorf("%s: %s has no field %s", method.FullName(), method.Input().FullName(), path)
		}
	}
}

func hasPath(message protoreflect.MessageDescriptor, path string) bool {
	name, rest, more := strings.Cut(path, ".")
	field := message.Fields().ByName(protoreflect.Name(name))
	if field == nil || !more {
		return field != nil
	}
	return field.Message() != nil && hasPath(field.Message(), rest)
}

func TestPayloadsComeLast(t *testing.T) {
	payloads := 0
	eachMessage(t, func(message protoreflect.MessageDescriptor) {
		each(message.Fields(), func(field protoreflect.FieldDescriptor) {
			switch {
			case field.Number() > payloadNumber:
				t.Errorf("%s has the number %d, after the payload", field.FullName(), field.Number())
			case field.Number() == payloadNumber:
				payloads++
				if field.Kind() != protoreflect.BytesKind && (field.Message() == nil || field.Message().Fields().ByNumber(payloadNumber) == nil) {
					t.Errorf("%s has the payload's number but is none and holds none", field.FullName())
				}
			}
		})
		checkOrder(t, message)
	})
	if payloads == 0 {
		t.Error("no payload was found")
	}
}

// checkOrder sees to it that both orders in use, by number and oneofs last, put the payload at the tail.
func checkOrder(t *testing.T, message protoreflect.MessageDescriptor) {
	t.Helper()
	payload := message.Fields().ByNumber(payloadNumber)
	if payload == nil || payload.ContainingOneof() == nil {
		return
	}
	lowest := protoreflect.FieldNumber(payloadNumber)
	each(payload.ContainingOneof().Fields(), func(member protoreflect.FieldDescriptor) { lowest = min(lowest, member.Number()) })
	each(message.Fields(), func(field protoreflect.FieldDescriptor) {
		outside := field.ContainingOneof() == nil || field.ContainingOneof().IsSynthetic()
		if outside && field.Number() > lowest {
			t.Errorf("%s has a higher number than a member of the oneof with the payload", field.FullName())
		}
	})
}

// TestReasonsAreThoseOfTheText holds the enum against the table in docs/api.md 3.
func TestReasonsAreThoseOfTheText(t *testing.T) {
	text, err := os.ReadFile(repository + "/docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| no. `Reason` |")
	if !found {
		t.Fatal("docs/api.md has no table of reasons")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	written := map[string]int32{"REASON_UNSPECIFIED": 0}
	for _, match := range regexp.MustCompile("(\\d+) `([A-Z_]+)`").FindAllStringSubmatch(table, -1) {
		number, err := strconv.ParseInt(match[1], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		written["REASON_"+match[2]] = int32(number)
	}
	if diff := cmp.Diff(written, sluicev1.Reason_value); diff != "" {
		t.Errorf("reasons differ (-docs/api.md +error.proto):\n%s", diff)
	}
}

// TestNamesAreThoseOfTheText looks for every message and enum in docs/api.md.
func TestNamesAreThoseOfTheText(t *testing.T) {
	text, err := os.ReadFile(repository + "/docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, word := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(string(text), -1) {
		words[word] = true
	}
	names := map[string]bool{}
	eachMessage(t, func(message protoreflect.MessageDescriptor) { names[string(message.Name())] = true })
	for _, file := range apiFiles(t) {
		each(file.Enums(), func(enum protoreflect.EnumDescriptor) { names[string(enum.Name())] = true })
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		method := strings.TrimSuffix(strings.TrimSuffix(name, "Request"), "Response") // the tables name some pairs once
		if !words[name] && !words[method] {
			t.Errorf("%s is not in docs/api.md", name)
		}
	}
}
