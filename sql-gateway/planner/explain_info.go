package planner

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/datum"
)

// String prints an expression as EXPLAIN does: eq(test.t.a, 1).
func (e *Expr) String() string {
	switch e.kind {
	case kindColumn:
		return e.col.Name
	case kindConst:
		if e.val.Kind() == datum.Bytes {
			return `"` + constText(e) + `"`
		}
		return constText(e)
	}
	if e.name == "cast" {
		return "cast(" + e.args[0].String() + ", " + typeName(e.Type) + ")"
	}
	return e.name + "(" + joinStrings(e.args) + ")"
}

func typeName(ft *tipb.FieldType) string {
	switch evalOf(ft) {
	case evalInt:
		if isUnsigned(ft) {
			return "bigint UNSIGNED"
		}
		return "bigint"
	case evalReal:
		return "double"
	case evalDecimal:
		return fmt.Sprintf("decimal(%d,%d)", ft.Flen, ft.Decimal)
	case evalTime:
		if ft.Flen == dateLen {
			return "date"
		}
		return "datetime"
	case evalDuration:
		return "time"
	case evalJSON:
		return "json"
	}
	return "var_string"
}

func (p *physBase) line(info string) Explain { return Explain{Name: p.name, Rows: p.rows, Info: info} }

func (p *physScan) Children() []Plan    { return nil }
func (p *physSelect) Children() []Plan  { return plans(p.inputs()...) }
func (p *physProject) Children() []Plan { return plans(p.inputs()...) }
func (p *physAgg) Children() []Plan     { return plans(p.inputs()...) }
func (p *physSort) Children() []Plan    { return plans(p.inputs()...) }
func (p *physLimit) Children() []Plan   { return plans(p.inputs()...) }
func (p *physJoin) Children() []Plan    { return plans(p.inputs()...) }
func (p *physReader) Children() []Plan  { return plans(p.inputs()...) }
func (p *physLookup) Children() []Plan  { return plans(p.inputs()...) }
func (p *physUnion) Children() []Plan   { return plans(p.inputs()...) }
func (p *physValues) Children() []Plan  { return nil }
func (p *physVirtual) Children() []Plan { return nil }
func (p *physSingle) Children() []Plan  { return plans(p.inputs()...) }
func (p *physApply) Children() []Plan   { return plans(p.inputs()...) }

// Explain tells table, index, ranges and order.
func (p *physScan) Explain() Explain {
	e := p.line("")
	e.Access = "table:" + p.scan.alias
	if ix := p.path.index; ix != nil {
		names := make([]string, len(ix.Columns))
		for i, c := range ix.Columns {
			names[i] = strings.ToLower(p.path.table.Columns[c.Offset].Name)
		}
		e.Access += ", index:" + ix.Name + "(" + strings.Join(names, ", ") + ")"
	}
	var parts []string
	if r := rangeText(p.path); r != "" {
		parts = append(parts, r)
	}
	if p.order != nil {
		parts = append(parts, "keep order:true")
		if p.order.desc {
			parts = append(parts, "desc")
		}
	} else {
		parts = append(parts, "keep order:false")
	}
	if p.scan.pseudo {
		parts = append(parts, "stats:pseudo")
	}
	e.Info = strings.Join(parts, ", ")
	return e
}

// rangeText says which conditions cut the ranges.
func rangeText(p *accessPath) string {
	if len(p.parts) == 0 {
		return ""
	}
	var conds []string
	for _, part := range p.parts {
		if part.outer != nil {
			conds = append(conds, "eq("+part.col.Name+", "+part.outer.String()+")")
			continue
		}
		for _, c := range part.from {
			conds = append(conds, c.String())
		}
	}
	if allConst(p) {
		return "range:" + intervals(p)
	}
	return "range: decided by [" + strings.Join(conds, " ") + "]"
}

const maxShownRanges = 8

// intervals prints ranges as TiDB does: [1 2,1 2], (5,+inf].
func intervals(p *accessPath) string {
	prefixes := []string{""}
	for _, part := range p.parts {
		if !part.isPoint() {
			lo, hi := boundText(p, part)
			out := make([]string, len(prefixes))
			for i, pre := range prefixes {
				out[i] = lo[:1] + joinText(pre, lo[1:]) + "," + joinText(pre, hi[:len(hi)-1]) + hi[len(hi)-1:]
			}
			return strings.Join(shorten(out), ", ")
		}
		var next []string
		for _, pre := range prefixes {
			for _, pt := range part.points {
				next = append(next, joinText(pre, pointText(pt)))
			}
			if len(next) > maxShownRanges {
				break
			}
		}
		prefixes = next
	}
	for i, pre := range prefixes {
		prefixes[i] = "[" + pre + "," + pre + "]"
	}
	return strings.Join(shorten(prefixes), ", ")
}

func shorten(list []string) []string {
	if len(list) > maxShownRanges {
		return append(list[:maxShownRanges], "...")
	}
	return list
}

func joinText(pre, s string) string {
	if pre == "" {
		return s
	}
	return pre + " " + s
}

func pointText(pt *Expr) string {
	if pt == nil {
		return "NULL"
	}
	return pt.String()
}

// boundText gives the tightest bounds, as their keys say.
func boundText(p *accessPath, part keyPart) (lo, hi string) {
	lo, hi = "[-inf", "+inf]"
	var loKey, hiKey []byte
	for _, c := range part.bounds {
		from, to, _ := p.boundKeys(nil, c, p.partType(part))
		if from != nil && bytes.Compare(from, loKey) < 0 || to != nil && hiKey != nil && bytes.Compare(to, hiKey) > 0 {
			continue
		}
		if from != nil {
			loKey = from
		}
		if to != nil {
			hiKey = to
		}
		info, ok := cmpOpOf(c.sig)
		if !ok {
			prefix := likePrefix(c)
			lo, hi = `["`+prefix+`"`, `"`+prefix+`…")`
			continue
		}
		v := c.args[1].String()
		switch info.op {
		case cmpLT:
			hi = v + ")"
		case cmpLE:
			hi = v + "]"
		case cmpGT:
			lo = "(" + v
		case cmpGE:
			lo = "[" + v
		}
	}
	return lo, hi
}

func (p *physSelect) Explain() Explain {
	var parts []string
	if len(p.conds) > 0 {
		parts = append(parts, joinStrings(p.conds))
	}
	for _, f := range p.filters {
		parts = append(parts, "in("+f.column.Name+", "+f.key.String()+" of "+explainID(f.join)+")")
	}
	return p.line(strings.Join(parts, ", "))
}

func (p *physProject) Explain() Explain {
	parts := make([]string, len(p.exprs))
	for i, e := range p.exprs {
		parts[i] = e.String()
		if !e.isCol() || e.col != p.cols[i] {
			parts[i] += "->" + p.cols[i].Name
		}
	}
	return p.line(strings.Join(parts, ", "))
}

func (p *physAgg) Explain() Explain {
	var parts []string
	if len(p.keys) > 0 {
		parts = append(parts, "group by:"+joinStrings(p.keys))
	}
	for _, f := range p.aggs {
		distinct := ""
		if f.distinct && p.mode == tipb.AggFunctionMode_CompleteMode {
			distinct = "distinct "
		}
		parts = append(parts, "funcs:"+f.name+"("+distinct+joinStrings(f.args)+")->"+f.out.Name)
	}
	return p.line(strings.Join(parts, ", "))
}

func (p *physSort) Explain() Explain {
	info := orderText(p.by)
	if p.keys > 0 {
		info = "partition by " + orderText(p.by[:p.keys]) + " order by " + orderText(p.by[p.keys:])
	}
	if p.topN {
		info += fmt.Sprintf(", offset:0, count:%d", p.count)
	}
	return p.line(info)
}

func orderText(by []orderItem) string {
	parts := make([]string, len(by))
	for i, o := range by {
		parts[i] = o.expr.String()
		if o.desc {
			parts[i] += ":desc"
		}
	}
	return strings.Join(parts, ", ")
}

func (p *physLimit) Explain() Explain {
	return p.line(fmt.Sprintf("offset:%d, count:%d", p.offset, p.count))
}

func (p *physJoin) Explain() Explain {
	kind := p.kind.String()
	if p.nullAware {
		kind = "Null-aware " + kind
	}
	parts := []string{kind}
	var eq []string
	for i, l := range p.leftKeys {
		eq = append(eq, fmt.Sprintf("eq(%s, %s)", l, p.rightKeys[i]))
	}
	if len(eq) > 0 {
		parts = append(parts, "equal:["+strings.Join(eq, " ")+"]")
	} else {
		parts = append([]string{"CARTESIAN " + kind}, parts[1:]...)
	}
	if len(p.inEq) > 0 {
		parts = append(parts, "in:["+joinStrings(p.inEq)+"]")
	}
	if len(p.other) > 0 {
		parts = append(parts, "other cond:"+joinStrings(p.other))
	}
	return p.line(strings.Join(parts, ", "))
}

func (p *physReader) Explain() Explain {
	word := "data:"
	if p.scan.path.index != nil {
		word = "index:"
	}
	return p.line(word + explainID(p.child))
}

func (p *physLookup) Explain() Explain { return p.line("") }
func (p *physUnion) Explain() Explain  { return p.line("") }
func (p *physSingle) Explain() Explain { return p.line("") }
func (p *physValues) Explain() Explain { return p.line(fmt.Sprintf("rows:%d", len(p.rows))) }

func (p *physVirtual) Explain() Explain {
	e := p.line("")
	e.Access = "table:" + p.alias
	return e
}

func (p *physApply) Explain() Explain {
	info := "CARTESIAN " + p.node.kind.String()
	if len(p.node.nullAware) > 0 {
		info += ", in:[" + joinStrings(p.node.nullAware) + "]"
	}
	return p.line(info)
}
