// Package rawjson reads one JSON text without changing it: a flat index of
// where every value begins and ends. Validation, redaction and comparison work
// on that index, so an event is encoded once and its bytes stay what they are.
//
// The dialect is strict I-JSON (RFC 7493): valid UTF-8, no lone surrogates in
// escapes, no two members of one object with the same name. Numbers are kept
// as they were written.
package rawjson

import (
	"fmt"
	"strconv"
	"strings"
)

// Node is one value of a document.
type Node struct {
	Kind       byte  // '{' '[' '"' '0' (number) 't' 'f' 'n'
	Depth      int32 // 1 for the document's own value
	Start, End int32 // the value's bytes in Doc.Data
	// KeyStart and KeyEnd are the bytes of the member's name with its quotes;
	// both 0 when the value is no object member.
	KeyStart, KeyEnd int32
	Next             int32 // index of the node after this value and all inside it
	Parent           int32 // -1 for the document's own value
}

// Doc is an indexed JSON text. The zero Doc is ready; Parse may be called again
// and again on one Doc, which then keeps its memory. Not for concurrent use.
type Doc struct {
	Data  []byte
	Nodes []Node // in the order of the text; Nodes[0] is the document's value
}

// Error is where and why a text is not the JSON that is accepted.
type Error struct {
	Offset  int    // byte at which the reader stopped
	Pointer string // RFC 6901 pointer to the value being read
	TooDeep bool   // nested deeper than allowed, otherwise a fault of syntax
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Message, e.Offset)
}

// Bytes are the text of the value.
func (d *Doc) Bytes(i int) []byte { return d.Data[d.Nodes[i].Start:d.Nodes[i].End] }

// Children calls yield with the index of each direct child of node i in order.
func (d *Doc) Children(i int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		end := int(d.Nodes[i].Next)
		for c := i + 1; c < end; c = int(d.Nodes[c].Next) {
			if !yield(c) {
				return
			}
		}
	}
}

// Member is the index of the member of object i that has this name, or -1 when
// there is none or i is no object.
func (d *Doc) Member(i int, name string) int {
	if d.Nodes[i].Kind != '{' {
		return -1
	}
	for c := range d.Children(i) {
		if d.keyIs(c, name) {
			return c
		}
	}
	return -1
}

// Key is the unescaped name of member i, "" when i is no member.
func (d *Doc) Key(i int) string {
	n := d.Nodes[i]
	if n.KeyEnd == 0 {
		return ""
	}
	return unquote(d.Data[n.KeyStart:n.KeyEnd])
}

// Text is the unescaped content of string i, and the raw text of anything else.
func (d *Doc) Text(i int) string {
	if d.Nodes[i].Kind != '"' {
		return string(d.Bytes(i))
	}
	return unquote(d.Bytes(i))
}

// Pointer is the RFC 6901 pointer of node i.
func (d *Doc) Pointer(i int) string {
	if i <= 0 {
		return ""
	}
	n := d.Nodes[i]
	parent := int(n.Parent)
	if n.KeyEnd != 0 {
		return d.Pointer(parent) + "/" + EscapeToken(d.Key(i))
	}
	at := 0
	for c := parent + 1; c < i; c = int(d.Nodes[c].Next) {
		at++
	}
	return d.Pointer(parent) + "/" + strconv.Itoa(at)
}

// EscapeToken writes a member's name as a reference token of a JSON pointer.
func EscapeToken(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// UnescapeToken is the opposite of EscapeToken.
func UnescapeToken(token string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
}

func (d *Doc) keyIs(i int, name string) bool {
	n := d.Nodes[i]
	raw := d.Data[n.KeyStart+1 : n.KeyEnd-1]
	if string(raw) == name {
		return true
	}
	for _, c := range raw {
		if c == '\\' {
			return d.Key(i) == name
		}
	}
	return false
}
