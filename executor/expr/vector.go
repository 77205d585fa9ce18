package expr

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/pingcap/tipb/go-tipb"

	"github.com/scree-db/scree/codec/value"
)

// typeVector is TiDB's type code of VECTOR. A value is its number of dimensions (u32) and as many float32, little-endian.
const typeVector = 0xe1

// vectorDimensionsMax is the longest vector.
const vectorDimensionsMax = 16383

func vectorFunctions() functions {
	copyRow := function{spec: "v:v", row: copyString}
	text := function{spec: "v:s", row: vectorTextRow}
	parse := function{spec: "s:v", row: parseVectorRow}
	return functions{
		tipb.ScalarFuncSig_VecAsTextSig:                     text,
		tipb.ScalarFuncSig_CastVectorFloat32AsString:        text,
		tipb.ScalarFuncSig_CastVectorFloat32AsVectorFloat32: copyRow,
		tipb.ScalarFuncSig_VectorFloat32AnyValue:            copyRow,
		tipb.ScalarFuncSig_VecFromTextSig:                   parse,
		tipb.ScalarFuncSig_CastStringAsVectorFloat32:        parse,
		tipb.ScalarFuncSig_VectorFloat32IsNull: {spec: "v:i", nulls: true, row: func(f *frame, i int) error {
			f.out.setBool(i, f.a[0].null(i))
			return nil
		}},
		tipb.ScalarFuncSig_VecDimsSig:                 {spec: "v:i", row: func(f *frame, i int) error { return f.setInt(i, len(vectorBody(f.a[0].str(i)))/4) }},
		tipb.ScalarFuncSig_VecL2NormSig:               {spec: "v:r", row: vectorNormRow},
		tipb.ScalarFuncSig_VecL1DistanceSig:           {spec: "vv:r", row: distanceRow(l1Distance)},
		tipb.ScalarFuncSig_VecL2DistanceSig:           {spec: "vv:r", row: distanceRow(l2Distance)},
		tipb.ScalarFuncSig_VecCosineDistanceSig:       {spec: "vv:r", row: distanceRow(cosineDistance)},
		tipb.ScalarFuncSig_VecNegativeInnerProductSig: {spec: "vv:r", row: distanceRow(func(a, b []byte) float64 { return -dot(a, b) })},
	}
}

// vectorBody is the elements of a vector; of a damaged one, those that are there.
func vectorBody(v []byte) []byte {
	if len(v) < 4 {
		return nil
	}
	n := min(uint64(binary.LittleEndian.Uint32(v)), uint64(len(v)-4)/4)
	return v[4 : 4+4*n]
}

func element(body []byte, k int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(body[4*k:])))
}

func vectorConstant(c *constNode, val []byte) error {
	if c.ft.Tp != typeVector {
		return errMismatch
	}
	if len(val) < 4 || len(vectorBody(val)) != len(val)-4 {
		return errShort
	}
	c.notNull().setStr(0, val)
	return nil
}

// compareVectors orders by the first element that differs, then by length.
func compareVectors(a, b []byte) int {
	a, b = vectorBody(a), vectorBody(b)
	for k := 0; 4*k < min(len(a), len(b)); k++ {
		if x, y := element(a, k), element(b, k); x != y {
			return int(b2i(x > y) - b2i(x < y))
		}
	}
	return int(b2i(len(a) > len(b)) - b2i(len(a) < len(b)))
}

func vectorTextRow(f *frame, i int) error {
	body := vectorBody(f.a[0].str(i))
	f.out.data = append(f.out.data, '[')
	for k := range len(body) / 4 {
		if k > 0 {
			f.out.data = append(f.out.data, ',')
		}
		f.out.data = strconv.AppendFloat(f.out.data, element(body, k), 'g', -1, 32)
	}
	f.out.data = append(f.out.data, ']')
	return f.endCast(i)
}

// parseVectorRow reads [1,2.5,...].
func parseVectorRow(f *frame, i int) error {
	text := trimSpaces(f.a[0].str(i))
	bad := value.Errorf(value.CodeTruncatedWrong, "Invalid vector text: %s", text)
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return bad
	}
	var items [][]byte
	if inner := trimSpaces(text[1 : len(text)-1]); len(inner) > 0 {
		items = bytes.Split(inner, []byte{','})
	}
	if len(items) > vectorDimensionsMax {
		return value.Errorf(value.CodeTruncatedWrong, "vector cannot have more than %d dimensions", vectorDimensionsMax)
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(items)))
	for _, item := range items {
		x, err := strconv.ParseFloat(string(trimSpaces(item)), 32)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
			return bad
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
	}
	return f.put(i, out)
}

func vectorNormRow(f *frame, i int) error {
	body := vectorBody(f.a[0].str(i))
	return f.real(i, math.Sqrt(dot(body, body)))
}

// distanceRow needs vectors of equal dimensions; a distance that is no number is NULL.
func distanceRow(distance func(a, b []byte) float64) rowFn {
	return func(f *frame, i int) error {
		a, b := vectorBody(f.a[0].str(i)), vectorBody(f.a[1].str(i))
		if len(a) != len(b) {
			return value.Errorf(value.CodeWrongArguments, "vectors have different dimensions: %d and %d", len(a)/4, len(b)/4)
		}
		d := distance(a, b)
		if math.IsNaN(d) {
			return f.setNull(i)
		}
		return f.real(i, d)
	}
}

func dot(a, b []byte) (sum float64) {
	for k := range len(a) / 4 {
		sum += element(a, k) * element(b, k)
	}
	return sum
}

func l1Distance(a, b []byte) (sum float64) {
	for k := range len(a) / 4 {
		sum += math.Abs(element(a, k) - element(b, k))
	}
	return sum
}

func l2Distance(a, b []byte) (sum float64) {
	for k := range len(a) / 4 {
		d := element(a, k) - element(b, k)
		sum += d * d
	}
	return math.Sqrt(sum)
}

func cosineDistance(a, b []byte) float64 {
	similarity := dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b))
	return 1 - min(max(similarity, -1), 1)
}
