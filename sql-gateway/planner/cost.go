package planner

// Costs are counted in rows that a scan reads and hands on within a store. Sizes of rows do not matter, nor does where a client is.
const (
	lookupCost = 12  // finding one key
	buildCost  = 2   // a row in a hash table
	probeCost  = 0.5 // a row that looks for partners there
	netCost    = 0.5 // a row on its way between a store and the gateway
	// costStores is the number of stores that a large table is taken to be on: they work at the same time, and each wants the
	// build side of a join.
	costStores = 3
)

// broadcastPays compares a join of hashes on the stores with the same join in the gateway. There, all rows of the probe side
// come over the network. On the stores the probe side stays, and is shared among them; the build side goes to each, and what comes is
// the joined rows, of which there may be more, unless they are grouped or cut off there (reduced).
func broadcastPays(probe, build, joined float64, reduced bool) bool {
	atRoot := (netCost + probeCost) * probe
	onStores := probeCost*probe/costStores + costStores*netCost*build
	if !reduced {
		onStores += netCost * joined
	}
	return onStores < atRoot
}
