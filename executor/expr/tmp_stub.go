package expr

func compareJSON(a, b []byte) int { return 0 }
func jsonIsZero(a []byte) bool    { return false }
func truthOfText(a []byte) bool   { return false }
