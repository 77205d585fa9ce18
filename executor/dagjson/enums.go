package dagjson

import (
	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/tipb/go-tipb"
)

// tipb registers its enums with the other protobuf runtime; the JSON reader looks their names up in gogo's.
func init() {
	for name, e := range map[string]struct {
		names  map[int32]string
		values map[string]int32
	}{
		"tipb.AggFunctionMode":   {tipb.AggFunctionMode_name, tipb.AggFunctionMode_value},
		"tipb.EncodeType":        {tipb.EncodeType_name, tipb.EncodeType_value},
		"tipb.Endian":            {tipb.Endian_name, tipb.Endian_value},
		"tipb.EngineType":        {tipb.EngineType_name, tipb.EngineType_value},
		"tipb.ExecType":          {tipb.ExecType_name, tipb.ExecType_value},
		"tipb.ExprType":          {tipb.ExprType_name, tipb.ExprType_value},
		"tipb.JoinExecType":      {tipb.JoinExecType_name, tipb.JoinExecType_value},
		"tipb.JoinType":          {tipb.JoinType_name, tipb.JoinType_value},
		"tipb.ScalarFuncSig":     {tipb.ScalarFuncSig_name, tipb.ScalarFuncSig_value},
		"tipb.TiFlashPreAggMode": {tipb.TiFlashPreAggMode_name, tipb.TiFlashPreAggMode_value},
		"tipb.WindowBoundType":   {tipb.WindowBoundType_name, tipb.WindowBoundType_value},
		"tipb.WindowFrameType":   {tipb.WindowFrameType_name, tipb.WindowFrameType_value},
	} {
		if proto.EnumValueMap(name) == nil {
			proto.RegisterEnum(name, e.names, e.values)
		}
	}
}
