package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"credrpc/server"
)

// TestREADME has this program for the first code of the README.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(readme), "\n```go\n")
	code, _, closed := strings.Cut(code, "```\n")
	if !closed || code != string(program) {
		t.Errorf("the README begins with\n%s\nbut examples/hello/main.go is\n%s", code, program)
	}
}

func TestHello(t *testing.T) {
	answer, err := hello(context.Background(), nil, &server.Call{Sender: server.NewCredentials(1, 1000, 100)})
	if err != nil || string(answer) != "hello uid 1000" {
		t.Errorf("answered %q, %v", answer, err)
	}
}
