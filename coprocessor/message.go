package coprocessor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/executor/expr"
)

const (
	// messageMax bounds an encoded request, in bytes.
	messageMax = 64 << 20
	// depthMax bounds how deep its messages nest: the deepest expression allowed, two levels for each of 100 executors,
	// and some for what hangs on the last of them. The generated decoder recurses, so this is checked before it runs.
	depthMax = expr.MaxDepth + 2*100 + 16
)

var errDepth = errors.New("request nests too deep")

// messageType is the part of a protobuf message type that matters for nesting: which fields hold messages.
type messageType struct{ fields map[uint64]*messageType }

var (
	dagType      = messageTypeOf(reflect.TypeFor[tipb.DAGRequest](), map[reflect.Type]*messageType{})
	analyzeType  = messageTypeOf(reflect.TypeFor[tipb.AnalyzeReq](), map[reflect.Type]*messageType{})
	checksumType = messageTypeOf(reflect.TypeFor[tipb.ChecksumRequest](), map[reflect.Type]*messageType{})
)

// messageTypeOf reads the generated struct's tags. known breaks cycles.
func messageTypeOf(t reflect.Type, known map[reflect.Type]*messageType) *messageType {
	if m := known[t]; m != nil {
		return m
	}
	m := &messageType{fields: make(map[uint64]*messageType)}
	known[t] = m
	for i := range t.NumField() {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("protobuf"), ",")
		if len(tag) < 2 || tag[0] != "bytes" {
			continue
		}
		inner := f.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		number, err := strconv.ParseUint(tag[1], 10, 32)
		if err != nil || inner.Kind() != reflect.Struct {
			continue
		}
		m.fields[number] = messageTypeOf(inner, known)
	}
	return m
}

// checkMessage bounds the size and the nesting of an encoded message, without recursion. It accepts what is malformed
// in other ways: the decoder will say so.
func checkMessage(b []byte, root *messageType) error {
	if len(b) > messageMax {
		return fmt.Errorf("request has %d bytes, more than %d", len(b), messageMax)
	}
	type frame struct {
		t   *messageType
		end int
	}
	stack := make([]frame, 1, 32)
	stack[0] = frame{root, len(b)}
	for at := 0; len(stack) > 0; {
		top := stack[len(stack)-1]
		if at >= top.end {
			stack = stack[:len(stack)-1]
			continue
		}
		number, start, end, ok := nextField(b[:top.end], at)
		if !ok {
			return nil
		}
		at = end
		if inner := top.t.fields[number]; inner != nil && start < end {
			if len(stack) == depthMax {
				return errDepth
			}
			stack = append(stack, frame{inner, end})
			at = start
		}
	}
	return nil
}

// nextField reads the field at b[at:]: its number, and where its content starts and ends. Only of length-delimited
// fields is the content anything but empty.
func nextField(b []byte, at int) (number uint64, start, end int, ok bool) {
	tag, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return 0, 0, 0, false
	}
	at += n
	switch tag & 7 {
	case 0:
		_, n := binary.Uvarint(b[at:])
		return tag >> 3, at + n, at + n, n > 0
	case 1:
		return tag >> 3, at + 8, at + 8, at+8 <= len(b)
	case 2:
		size, n := binary.Uvarint(b[at:])
		if n <= 0 || size > uint64(len(b)-at-n) {
			return 0, 0, 0, false
		}
		return tag >> 3, at + n, at + n + int(size), true
	case 5:
		return tag >> 3, at + 4, at + 4, at+4 <= len(b)
	}
	return 0, 0, 0, false // groups are not used by these messages
}
