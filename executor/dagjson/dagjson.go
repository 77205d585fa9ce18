// Package dagjson is the readable form of a pushed plan: one JSON document that holds a DAG request, the key ranges it
// runs over and the types of the columns it gives. EXPLAIN FORMAT='dag' prints it, `scree dag` sends it.
//
//	{
//	  "table": "tpch.lineitem",
//	  "ranges": [{"start": "7480…5f72", "end": "7480…5f73"}],
//	  "dag": {"executors": [{"tp": "TypeTableScan", "tblScan": {…}}], "outputOffsets": [0]},
//	  "fields": [{"tp": 8, "flag": 1, "flen": 20}]
//	}
//
// Keys are hexadecimal; the protobuf parts are protobuf's JSON mapping, in which bytes are base64.
package dagjson

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gogo/protobuf/jsonpb"
	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/tipb/go-tipb"
)

// Bounds of a document; Unmarshal refuses what goes beyond them before building anything from it.
const (
	MaxBytes  = 16 << 20
	MaxDepth  = 4096 // nesting of JSON values; an expression level takes two
	MaxRanges = 1 << 16
)

// Errors of Unmarshal, wrapped with what was found.
var (
	ErrTooLarge = errors.New("dag document is too large")
	ErrInvalid  = errors.New("dag document is not valid")
)

// Range is [Start, End) of plain user keys; an empty End is unbounded.
type Range struct{ Start, End []byte }

// Document is a pushed plan with all that is needed to run it.
type Document struct {
	Table  string // database.table, for people
	Ranges []Range
	DAG    *tipb.DAGRequest
	Fields []*tipb.FieldType
}

type rangeJSON struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type documentJSON struct {
	Table  string            `json:"table"`
	Ranges []rangeJSON       `json:"ranges"`
	DAG    json.RawMessage   `json:"dag"`
	Fields []json.RawMessage `json:"fields,omitempty"`
}

// Marshal writes d, indented.
func Marshal(d *Document) ([]byte, error) {
	if d.DAG == nil {
		return nil, fmt.Errorf("%w: no DAG", ErrInvalid)
	}
	doc := documentJSON{Table: d.Table, Ranges: make([]rangeJSON, len(d.Ranges))}
	for i, r := range d.Ranges {
		doc.Ranges[i] = rangeJSON{hex.EncodeToString(r.Start), hex.EncodeToString(r.End)}
	}
	var err error
	if doc.DAG, err = marshalProto(d.DAG); err != nil {
		return nil, err
	}
	for _, f := range d.Fields {
		raw, err := marshalProto(f)
		if err != nil {
			return nil, err
		}
		doc.Fields = append(doc.Fields, raw)
	}
	return json.MarshalIndent(doc, "", "  ")
}

// Unmarshal reads a document. Unknown members are errors: a misspelt one would silently change the plan.
func Unmarshal(text []byte) (*Document, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	var doc documentJSON
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(doc.Ranges) > MaxRanges {
		return nil, fmt.Errorf("%w: %d ranges, at most %d", ErrTooLarge, len(doc.Ranges), MaxRanges)
	}
	return doc.decode()
}

func (doc *documentJSON) decode() (*Document, error) {
	d := &Document{Table: doc.Table, DAG: &tipb.DAGRequest{}}
	if len(doc.DAG) == 0 {
		return nil, fmt.Errorf("%w: no dag", ErrInvalid)
	}
	if err := unmarshalProto(doc.DAG, d.DAG); err != nil {
		return nil, err
	}
	for _, raw := range doc.Fields {
		f := &tipb.FieldType{}
		if err := unmarshalProto(raw, f); err != nil {
			return nil, err
		}
		d.Fields = append(d.Fields, f)
	}
	for i, r := range doc.Ranges {
		start, err1 := hex.DecodeString(r.Start)
		end, err2 := hex.DecodeString(r.End)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%w: range %d: %w", ErrInvalid, i, err)
		}
		d.Ranges = append(d.Ranges, Range{start, end})
	}
	return d, nil
}

func marshalProto(m proto.Message) (json.RawMessage, error) {
	text, err := (&jsonpb.Marshaler{EmitDefaults: false}).MarshalToString(m)
	if err != nil {
		return nil, fmt.Errorf("dag document: %w", err)
	}
	return json.RawMessage(text), nil
}

func unmarshalProto(raw json.RawMessage, m proto.Message) error {
	if err := jsonpb.Unmarshal(bytes.NewReader(raw), m); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// check bounds size and nesting before any recursive decoder sees the text.
func check(text []byte) error {
	if len(text) > MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), MaxBytes)
	}
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
