// Package client runs the client of November 2024, the last one before it needed a newer placement driver.
package client

import (
	"os"
	"testing"

	"github.com/scree-db/scree/tests/clientsuite"
)

func TestMain(m *testing.M) { os.Exit(clientsuite.Main(m)) }

func TestClient(t *testing.T) {
	clientsuite.Run(t, clientsuite.Version{
		Reverse: func(txn *clientsuite.Txn, upper, lower []byte) (clientsuite.Iterator, error) {
			return txn.IterReverse(upper, lower)
		},
	})
}
