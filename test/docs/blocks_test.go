// Package docs_test runs the commands and programs of the documents as they are
// written, in a fresh folder against a fresh server, and compares what they print with the
// answers that the documents show.
//
// A fenced block of a document is one of these; the comment is on the line before it
// and no reader sees it:
//
//	```sh                                  it is run; the document fails when it fails
//	<!-- answer -->                        what the block before it printed; "..." is any text
//	<!-- file: NAME -->                    it is written to the file NAME
//	<!-- not run: REASON -->               nothing is done with it
//
// A JSON answer may show a part: every member that it shows must be there.
package docs_test

import (
	"fmt"
	"regexp"
	"strings"
)

// kind tells what is done with a block.
type kind int

const (
	command kind = iota // run by bash
	answer              // compared with the output of the command before it
	file                // written to a file
	notRun              // shown only
)

// A block is a fenced block of a document.
type block struct {
	kind     kind
	language string
	name     string // of the file, or the reason why it is not run
	text     string
	line     int // of its first line, from 1
}

var comment = regexp.MustCompile(`^\s*<!-- (answer|file: (\S+)|not run: (.+)) -->$`)

// blocks reads the fenced blocks of a Markdown document, in their order. It refuses one
// whose kind is not said, because such a block would not be tested.
func blocks(document string) ([]block, error) {
	var list []block
	var open *block
	var fence, before string
	for i, line := range strings.Split(document, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case open != nil && trimmed == fence:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(trimmed, "```"):
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`"))]
			one, err := beginBlock(strings.TrimPrefix(trimmed, fence), before, i+2)
			if err != nil {
				return nil, err
			}
			open = &one
		}
		if trimmed != "" {
			before = trimmed
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block is not closed", open.line)
	}
	return list, nil
}

func beginBlock(language, before string, line int) (block, error) {
	b := block{language: language, line: line}
	said := comment.FindStringSubmatch(before)
	switch {
	case said == nil && language == "sh":
		b.kind = command
	case said == nil:
		return b, fmt.Errorf("line %d: the block says neither that it is an answer, a file, or why it is not run", line)
	case said[1] == "answer":
		b.kind = answer
	case said[2] != "":
		b.kind, b.name = file, said[2]
	default:
		b.kind, b.name = notRun, said[3]
	}
	return b, nil
}
